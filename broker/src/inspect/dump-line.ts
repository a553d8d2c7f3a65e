/** One line of a dump, as text or as an object; only the one that is wanted is made. */
export interface DumpLine {
  readonly text: () => string;
  readonly json: () => Readonly<Record<string, unknown>>;
}

/** A line that says its fields by name in either form. */
export function fieldsLine(type: string, fields: Readonly<Record<string, unknown>>): DumpLine {
  return {
    text: () => {
      const parts = Object.entries(fields).map(([name, value]) => `${name}=${valueText(value)}`);
      return `${type} ${parts.join(' ')}`;
    },
    json: () => ({ type, ...fields }),
  };
}

function valueText(value: unknown): string {
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

/** The file ends to make sense at `position`; what came before was dumped. */
export class DamagedFileError extends Error {
  override readonly name = 'DamagedFileError';

  constructor(
    readonly path: string,
    readonly position: number,
    problem: string,
  ) {
    super(`${path} is damaged at byte ${position}: ${problem}`);
  }
}

/** A time in milliseconds since 1970 as people read it; `-` for none. */
export function timeText(ms: number): string {
  if (ms === -1) return '-';
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

/** Characters of a key or value that a line of text shows. */
const EXCERPT_CHARACTERS = 80;
const EXCERPT_BYTES = 4 * EXCERPT_CHARACTERS;

/** A key or value for people: quoted text where it is UTF-8, else base64; long ones cut short. */
export function excerpt(bytes: Buffer | null): string {
  if (bytes === null) return 'null';
  const start = bytes.subarray(0, EXCERPT_BYTES);
  const text = utf8(start, bytes.length > start.length);
  const shown =
    text === undefined
      ? `base64:${start.toString('base64').slice(0, EXCERPT_CHARACTERS)}`
      : JSON.stringify(text.slice(0, EXCERPT_CHARACTERS));
  const all = text === undefined ? start.toString('base64').length : text.length;
  const cut = bytes.length > start.length || all > EXCERPT_CHARACTERS;
  return cut ? `${shown}… (${bytes.length} bytes)` : shown;
}

/** A key or value for programs, whole. */
export function bytesJson(bytes: Buffer | null): unknown {
  if (bytes === null) return null;
  const text = utf8(bytes, false);
  return text === undefined ? { base64: bytes.toString('base64') } : { text };
}

/** Undefined for bytes that are no UTF-8. @param cut a character may be incomplete at the end. */
function utf8(bytes: Buffer, cut: boolean): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, {
      stream: cut,
    });
  } catch {
    return undefined;
  }
}
