/** Segment files are named by their base offset, 20 digits wide, so that names sort like offsets. */
const OFFSET_DIGITS = 20;
const LOG_NAME = /^(\d{20})\.log$/;

export function logFileName(baseOffset: number): string {
  return `${String(baseOffset).padStart(OFFSET_DIGITS, '0')}.log`;
}

export function indexFileName(baseOffset: number): string {
  return `${String(baseOffset).padStart(OFFSET_DIGITS, '0')}.index`;
}

/** The base offset in a segment's file name; undefined for any other name. */
export function parseLogFileName(name: string): number | undefined {
  const digits = LOG_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
