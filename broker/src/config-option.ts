/** One row of the configuration table: what a value may be, and how it is read from text or JSON. */
export interface ConfigOption<Value> {
  readonly defaultValue: Value;
  /** What the value may be, as in "an integer from 1 to 100,000"; used in error messages. */
  readonly expected: string;
  readonly doc: string;
  /** The value, or undefined when `raw` (a string, or a value out of JSON) is none. */
  parse(raw: unknown): Value | undefined;
}

interface Range {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

const byteUnits: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** 10,000 for 10000. Not `toLocaleString`, which loads the locale data: 15 ms of the start. */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A whole number of `unit`. */
function integer(unit: string, range: Range, doc: string): ConfigOption<number> {
  const span = `${grouped(range.min)} to ${grouped(range.max)}`;
  return {
    defaultValue: range.default,
    expected: `an integer from ${span}${unit}`,
    doc,
    parse: (raw) => {
      const value = typeof raw === 'string' ? parseInteger(raw) : raw;
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) return undefined;
      return value >= range.min && value <= range.max ? value : undefined;
    },
  };
}

function parseInteger(text: string): number | undefined {
  const match = /^(-?\d+)\s*(KiB|MiB|GiB)?$/.exec(text.trim());
  if (match?.[1] === undefined) return undefined;
  return Number(match[1]) * (byteUnits[match[2] ?? ''] ?? 1);
}

/** How many of something. */
export function count(range: Range, doc: string): ConfigOption<number> {
  return integer('', range, doc);
}

/** A size; text may end in KiB, MiB or GiB. */
export function bytes(range: Range, doc: string): ConfigOption<number> {
  return integer(' bytes (KiB, MiB and GiB are understood)', range, doc);
}

/** A time span in milliseconds. */
export function millis(range: Range, doc: string): ConfigOption<number> {
  return integer(' milliseconds', range, doc);
}

/** A number between two others, with or without decimals. */
export function decimal(range: Range, doc: string): ConfigOption<number> {
  return {
    defaultValue: range.default,
    expected: `a number from ${range.min} to ${range.max}`,
    doc,
    parse: (raw) => {
      const value = typeof raw === 'string' ? parseDecimal(raw) : raw;
      if (typeof value !== 'number') return undefined;
      return value >= range.min && value <= range.max ? value : undefined;
    },
  };
}

/** `0.5`, `.5`, `1`: digits with at most one point, and nothing else. */
export function parseDecimal(text: string): number | undefined {
  return /^(\d+(\.\d*)?|\.\d+)$/.test(text.trim()) ? Number(text) : undefined;
}

/** One of a few words. */
export function choice<const Word extends string>(
  words: readonly Word[],
  defaultValue: Word,
  doc: string,
): ConfigOption<Word> {
  return {
    defaultValue,
    expected: `one of ${listed(words)}`,
    doc,
    parse: (raw) => words.find((word) => word === raw),
  };
}

/** A word that has a comma itself is quoted. */
function listed(words: readonly string[]): string {
  return words.map((word) => (word.includes(',') ? `"${word}"` : word)).join(', ');
}

/** One of a few words, or nothing: then something else decides. */
export function optionalChoice<const Word extends string>(
  words: readonly Word[],
  doc: string,
): ConfigOption<Word | undefined> {
  return {
    defaultValue: undefined,
    expected: `one of ${words.join(', ')}`,
    doc,
    parse: (raw) => words.find((word) => word === raw),
  };
}

/** Any text that is not empty. */
export function text(defaultValue: string, expected: string, doc: string): ConfigOption<string> {
  return {
    defaultValue,
    expected,
    doc,
    parse: (raw) => (typeof raw === 'string' && raw !== '' ? raw : undefined),
  };
}

/** `host:port`, or one of the `words` instead of it. */
export function address(
  defaultValue: string,
  doc: string,
  words: readonly string[] = [],
): ConfigOption<string> {
  const either = words.map((word) => ` or ${word === '' ? 'nothing' : word}`).join('');
  return {
    defaultValue,
    expected: `host:port${either}`,
    doc,
    parse: (raw) => {
      if (typeof raw !== 'string') return undefined;
      return words.includes(raw) || parseAddress(raw) !== undefined ? raw : undefined;
    },
  };
}

/** A host and a TCP port. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port` or `[ipv6]:port`; undefined when it is neither. */
export function parseAddress(addressText: string): Address | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(addressText);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) return undefined;
  return { host, port };
}

/** Writes an address the way {@link parseAddress} reads it. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
