/** Characters of a name in a message; more says nothing to a reader. */
const MAX_NAME_CHARACTERS = 80;

/** A name for a message: in quotes, and cut where it is too long to read. */
export function quoted(name: string): string {
  return `"${shortened(name)}"`;
}

/** A name for a message, cut where it is too long to read. */
export function shortened(name: string): string {
  if (name.length <= MAX_NAME_CHARACTERS) return name;
  return `${name.slice(0, MAX_NAME_CHARACTERS)}…`;
}

/** What is counted, in the singular or with an s. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** A partition as messages name it: `topic-number`. */
export function partitionName(topic: string, number: number): string {
  return `${shortened(topic)}-${number}`;
}

/** The message with the broker that it is about at its end; a full stop before that goes. */
export function saidBy(message: string, broker: string | undefined): string {
  if (broker === undefined) return message;
  return `${message.replace(/(?<=[^.\s])\.$/, '')} (broker ${broker})`;
}

/** Line breaks become spaces. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ');
}
