/** Bytes as people and JSON take them: text where it is UTF-8, else base64 that says so. */
export type Readable = string | null | { readonly base64: string };

/** A header in JSON: an array of its values where the name occurs several times. */
export type ReadableHeaders = Readonly<Record<string, Readable | readonly Readable[]>>;

/** How Node's `console.log` and `util.inspect` ask an object for its looks. */
export const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** `util.inspect` as it hands itself to {@link INSPECT}: no import, so no Node is needed. */
export type Inspect = (value: unknown, options: object) => string;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes as text when they are valid UTF-8, else as base64. */
export function readable(bytes: Buffer | null): Readable {
  if (bytes === null) return null;
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return { base64: bytes.toString('base64') };
  }
}

/** Bytes of one key, value or header that {@link excerpt} shows. */
const MAX_SHOWN_BYTES = 200;

/** As {@link readable}, but of long ones the beginning and the length. */
export function excerpt(bytes: Buffer | null): Readable {
  if (bytes === null || bytes.length <= MAX_SHOWN_BYTES) return readable(bytes);
  const rest = `… (${bytes.length} bytes)`;
  const start = readable(bytes.subarray(0, characterEnd(bytes, MAX_SHOWN_BYTES)));
  if (typeof start === 'string') return `${start}${rest}`;
  // A multiple of three bytes, so that the base64 has no padding in the middle.
  const base64 = bytes.subarray(0, MAX_SHOWN_BYTES - (MAX_SHOWN_BYTES % 3)).toString('base64');
  return { base64: `${base64}${rest}` };
}

/** Where the character that begins before `end` begins, if it goes on behind `end`. */
function characterEnd(bytes: Buffer, end: number): number {
  let start = end;
  while (start > end - 4 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start -= 1;
  return start;
}

/** Headers by name, none of them lost. */
export function readableHeaders(
  entries: readonly (readonly [string, Buffer | null])[],
  show: (bytes: Buffer | null) => Readable = readable,
): ReadableHeaders {
  const byName = new Map<string, Readable[]>();
  for (const [name, value] of entries) {
    const values = byName.get(name);
    if (values === undefined) byName.set(name, [show(value)]);
    else values.push(show(value));
  }
  return Object.fromEntries(
    [...byName].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? null) : values]),
  );
}
