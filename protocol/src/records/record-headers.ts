import { viewOf } from './buffer-view.js';
import { varintAt, varintEnd } from './varint.js';

const none: readonly (readonly [string, Buffer | null])[] = [];

/**
 * The headers of a record that a cursor has walked over, so that they are known to be whole.
 *
 * @param start position of the first header, after their count.
 */
export function readHeaders(
  bytes: Buffer,
  start: number,
  count: number,
): readonly (readonly [string, Buffer | null])[] {
  if (count === 0) return none;
  const headers: (readonly [string, Buffer | null])[] = [];
  let position = start;
  for (let index = 0; index < count; index++) {
    const nameLength = varintAt(bytes, position);
    position = varintEnd(bytes, position);
    const name = bytes.toString('utf8', position, position + nameLength);
    position += nameLength;
    const valueLength = varintAt(bytes, position);
    position = varintEnd(bytes, position);
    headers.push([name, valueLength < 0 ? null : viewOf(bytes, position, valueLength)]);
    position += Math.max(valueLength, 0);
  }
  return headers;
}
