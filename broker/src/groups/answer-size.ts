/** What a string or a buffer takes besides its bytes, and an integer or an array takes, at most. */
const LENGTH_BYTES = 5;
const NUMBER_BYTES = 9;

/** A value of a row, or a row of a response. */
type Sized = string | number | boolean | null | Buffer | readonly object[];

/**
 * No fewer bytes than a row of a response takes in a header, the rows within it included. Told from
 * the values alone, before anything is encoded.
 */
export function encodedBytesAtMost(row: object): number {
  let bytes = LENGTH_BYTES;
  for (const value of Object.values(row) as Sized[]) bytes += valueBytes(value);
  return bytes;
}

function valueBytes(value: Sized): number {
  if (typeof value === 'string') return LENGTH_BYTES + Buffer.byteLength(value);
  if (Buffer.isBuffer(value)) return LENGTH_BYTES + value.length;
  if (!Array.isArray(value)) return NUMBER_BYTES;
  let bytes = LENGTH_BYTES;
  for (const row of value as readonly object[]) bytes += encodedBytesAtMost(row);
  return bytes;
}
