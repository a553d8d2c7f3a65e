const NEWLINE = 0x0a;

/** A line is longer than it may be. */
export class LineTooLongError extends RangeError {
  override readonly name = 'LineTooLongError';
  /** Counts from 1. */
  readonly line: number;
  constructor(line: number, maxLineBytes: number) {
    super(`line ${line} is longer than ${maxLineBytes} bytes`);
    this.line = line;
  }
}

/**
 * The lines of a byte stream without their newline, as they are (a carriage return stays). The
 * last line needs no newline; an empty rest is no line.
 *
 * @param maxLineBytes longer lines are an error, so that memory stays bounded.
 * @throws LineTooLongError after all lines before it.
 */
export async function* linesOf(
  chunks: AsyncIterable<Buffer | string>,
  maxLineBytes: number,
): AsyncGenerator<readonly Buffer[]> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let count = 0;
  for await (const data of chunks) {
    const chunk = typeof data === 'string' ? Buffer.from(data) : data;
    const lines: Buffer[] = [];
    let start = 0;
    let tooLong = false;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      tooLong = restBytes + end - start > maxLineBytes;
      if (tooLong) break;
      const line = chunk.subarray(start, end);
      lines.push(rest.length === 0 ? line : Buffer.concat([...rest, line]));
      rest = [];
      restBytes = 0;
      count += 1;
      start = end + 1;
    }
    if (start < chunk.length && !tooLong) {
      rest.push(chunk.subarray(start));
      restBytes += chunk.length - start;
      tooLong = restBytes > maxLineBytes;
    }
    if (lines.length > 0) yield lines;
    if (tooLong) throw new LineTooLongError(count + 1, maxLineBytes);
  }
  if (restBytes > 0) yield [Buffer.concat(rest)];
}
