/**
 * A time as people give it on the command line: ISO 8601. Without a zone it is local time, and a
 * date alone its midnight. undefined for what is no time, such as 31 February.
 */
export function parseTime(text: string): Date | undefined {
  const match = /^(\d{4})-(\d{2})(?:-(\d{2}))?/.exec(text);
  if (match === null) return undefined;
  const date = new Date(withTime(text));
  if (Number.isNaN(date.getTime())) return undefined;
  // Date counts 31 February as 3 March.
  const [, year, month, day = '01'] = match;
  const daysInMonth = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  return Number(day) <= daysInMonth ? date : undefined;
}

/** A date alone would be UTC, unlike a date with a time (ECMAScript, Date Time String Format). */
function withTime(text: string): string {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text;
}
