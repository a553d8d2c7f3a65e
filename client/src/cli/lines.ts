const NEWLINE = 0x0a;

/**
 * The lines of a byte stream without their newline, as they are (a carriage return stays). The
 * last line needs no newline; an empty rest is no line.
 *
 * @param maxLineBytes longer lines are an error, so that memory stays bounded.
 * @throws RangeError naming the line.
 */
export async function* linesOf(
  chunks: AsyncIterable<Buffer | string>,
  maxLineBytes: number,
): AsyncGenerator<readonly Buffer[]> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let count = 0;
  const tooLong = (bytes: number): void => {
    if (bytes <= maxLineBytes) return;
    throw new RangeError(`line ${count + 1} is longer than ${maxLineBytes} bytes`);
  };
  for await (const data of chunks) {
    const chunk = typeof data === 'string' ? Buffer.from(data) : data;
    const lines: Buffer[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      tooLong(restBytes + end - start);
      const line = chunk.subarray(start, end);
      lines.push(rest.length === 0 ? line : Buffer.concat([...rest, line]));
      rest = [];
      restBytes = 0;
      count += 1;
      start = end + 1;
    }
    if (start < chunk.length) {
      rest.push(chunk.subarray(start));
      restBytes += chunk.length - start;
      tooLong(restBytes);
    }
    if (lines.length > 0) yield lines;
  }
  if (restBytes > 0) yield [Buffer.concat(rest)];
}
