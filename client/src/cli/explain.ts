import {
  InvalidArgumentError,
  MillraceError,
  OffsetOutOfRangeError,
  UnknownTopicError,
} from '../errors.js';
import { LIST_GROUPS_ADVICE } from '../admin/groups.js';
import { CREATE_ADVICE } from '../missing.js';
import { oneLine, shortened } from '../util/text.js';
import { UsageError } from './exit.js';

/**
 * One line that says what happened and what to do, in the words of the command line: errors of
 * the SDK name its own calls and options.
 *
 * @param broker the address given, for what to do when nobody is there
 */
export function explain(error: unknown, broker?: string): string {
  if (error instanceof AggregateError) {
    return error.errors.map((each) => explain(each, broker)).join('; ');
  }
  if (!(error instanceof Error)) return oneLine(String(error));
  if (!(error instanceof MillraceError)) return oneLine(error.message);
  const message = lowerCased(oneLine(error.message));
  if (error.code === 'CONNECTION_FAILED') return unreachable(message, broker);
  if (error instanceof OffsetOutOfRangeError) {
    return message.replace(/\. Start .*$/, '; start again with another --from');
  }
  if (error.code === 'GROUP_ID_NOT_FOUND' || error.code === 'NON_EMPTY_GROUP') {
    return withoutBroker(message.replace(LIST_GROUPS_ADVICE, LIST_GROUPS_COMMAND));
  }
  const created = message.replace(CREATE_ADVICE, createAdvice(error.topic ?? 'NAME'));
  if (!(error instanceof UnknownTopicError) && created === message) return message;
  return withoutBroker(created);
}

/**
 * The same for what is only warned of. A position that is out of range is one that a group had
 * committed: the command leaves it to the consumer to go on at the beginning.
 */
export function explainWarning(error: Error): string {
  if (!(error instanceof OffsetOutOfRangeError)) return explain(error);
  const message = lowerCased(oneLine(error.message));
  return message.replace(/\. Start .*$/, `; it goes on at offset ${error.beginningOffset}`);
}

/** Whether the command line was at fault. */
export function isWrongUsage(error: unknown): boolean {
  return error instanceof UsageError || error instanceof InvalidArgumentError;
}

const LIST_GROUPS_COMMAND = '`millrace group list` shows those there are';

/** Who said so is not of interest where it is about what the whole cluster holds. */
function withoutBroker(message: string): string {
  return message.replace(/ \(broker [^)]*\)$/, '');
}

function unreachable(message: string, broker: string | undefined): string {
  if (broker === undefined || !message.startsWith('cannot reach')) return message;
  return (
    `${message}; is it running? Start one with \`npm start\`, or name another with ` +
    `--broker host:port (now ${broker})`
  );
}

function createAdvice(topic: string): string {
  return `create it with \`millrace topic create ${shortened(topic)}\``;
}

/** Words that began a sentence go on in one; names, which have more than letters, stay. */
function lowerCased(message: string): string {
  return message.replace(/(?<=^|: )[A-Z](?=[a-z]*[ ,'])/g, (letter) => letter.toLowerCase());
}
