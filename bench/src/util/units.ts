/** Thrown for text that is no size or time; the message says what is taken. */
export class UnitError extends Error {
  override readonly name = 'UnitError';
}

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  m: 2 ** 20,
  mib: 2 ** 20,
  g: 2 ** 30,
  gib: 2 ** 30,
};
const timeUnitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** `64KiB`, `1g` or `1000` as bytes. @throws UnitError */
export function parseBytes(text: string): number {
  const bytes = withUnit(text, byteUnits);
  if (bytes !== undefined && Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  throw new UnitError(`${quoted(text)} is no size: give bytes, such as 1000, 64KiB or 1GiB`);
}

/** `500ms`, `10s`, `2m` or `0` as milliseconds: whoever leaves the unit out means one or another. @throws UnitError */
export function parseDurationMs(text: string): number {
  const ms = text.trim() === '0' ? 0 : withUnit(text, timeUnitsMs);
  if (ms !== undefined && Number.isFinite(ms) && ms >= 0) return ms;
  throw new UnitError(`${quoted(text)} is no time: give 500ms, 10s or 2m`);
}

/** A whole number from `minimum` on; `1000` or `1_000`. @throws UnitError */
export function parseCount(text: string, minimum = 0): number {
  const digits = text.replaceAll('_', '');
  const value = Number(digits);
  if (/^\d+$/.test(digits) && Number.isSafeInteger(value) && value >= minimum) return value;
  throw new UnitError(`${quoted(text)} is no whole number of at least ${minimum}`);
}

function withUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = units[match?.[2]?.toLowerCase() ?? '?'];
  return match?.[1] === undefined || unit === undefined ? undefined : Number(match[1]) * unit;
}

export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let index = 0;
  while (Math.abs(value) >= 1024 && index < names.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${index === 0 ? value.toFixed(0) : significant(value)} ${names[index] ?? ''}`;
}

/** `12.3 ms`, `870 µs` or `1.20 s`, of microseconds. */
export function formatMicros(micros: number): string {
  if (micros < 1_000) return `${micros.toFixed(0)} µs`;
  if (micros < 1_000_000) return `${significant(micros / 1_000)} ms`;
  return `${significant(micros / 1_000_000)} s`;
}

/** `500ms` or `10s`, as it is given. */
export function formatDuration(ms: number): string {
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** Three significant digits or so, with separators from 1,000 on. */
export function significant(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  if (size >= 10) return value.toFixed(1);
  if (size === 0) return '0';
  return size >= 0.1 ? value.toFixed(2) : value.toPrecision(2);
}
