import type { Message } from '../consumer/message.js';
import { UsageError } from './exit.js';

/** Makes the bytes to print for a message. */
export type Formatter = (message: Message) => Buffer;

type Piece = (message: Message) => Buffer | string;

const NEWLINE = Buffer.from('\n');
const EMPTY = Buffer.alloc(0);

/** Fields that a format may name; letters as in kcat. */
const fields: Readonly<Record<string, Piece>> = {
  t: (message) => message.topic,
  p: (message) => String(message.partition),
  o: (message) => String(message.offset),
  T: (message) => String(message.timestampMs),
  k: (message) => message.key ?? EMPTY,
  v: (message) => message.value ?? EMPTY,
  h: formatHeaders,
  '%': () => '%',
};

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '0': '\0',
  '\\': '\\',
};

/** The default: the value and a newline. */
export function valueLine(message: Message): Buffer {
  return Buffer.concat([message.value ?? EMPTY, NEWLINE]);
}

/**
 * Reads a format: `%t` topic, `%p` partition, `%o` offset, `%T` timestamp (Unix, ms), `%k` key,
 * `%v` value, `%h` headers (`name=value,…`), `%%` a percent sign, `\n`, `\t`, `\r`, `\0`, `\\`.
 * Bytes come out as they are; nothing is added at the end.
 *
 * @throws UsageError for anything else after `%` or `\`.
 */
export function parseFormat(format: string): Formatter {
  const pieces: Piece[] = [];
  let literal = '';
  const endLiteral = (): void => {
    if (literal === '') return;
    const bytes = Buffer.from(literal);
    pieces.push(() => bytes);
    literal = '';
  };
  for (let index = 0; index < format.length; index += 1) {
    const character = format.charAt(index);
    if (character !== '%' && character !== '\\') {
      literal += character;
      continue;
    }
    index += 1;
    const letter = format.charAt(index);
    if (character === '\\') {
      const escaped = escapes[letter];
      if (escaped === undefined) throw unknown(`\\${letter}`);
      literal += escaped;
    } else {
      const field = fields[letter];
      if (field === undefined) throw unknown(`%${letter}`);
      endLiteral();
      pieces.push(field);
    }
  }
  endLiteral();
  return (message) =>
    Buffer.concat(
      pieces.map((piece) => {
        const part = piece(message);
        return typeof part === 'string' ? Buffer.from(part) : part;
      }),
    );
}

/**
 * One JSON object per line. Key, value and header values are strings where they are valid UTF-8,
 * else `{"base64": "…"}`.
 */
export function jsonLine(message: Message): Buffer {
  const { topic, partition, offset, timestampMs, headers } = message;
  const record = {
    topic,
    partition,
    offset,
    timestampMs,
    key: textOrBase64(message.key),
    value: textOrBase64(message.value),
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, textOrBase64(value)]),
    ),
  };
  return Buffer.from(`${JSON.stringify(record)}\n`);
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOrBase64(bytes: Buffer | null): string | null | { readonly base64: string } {
  if (bytes === null) return null;
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return { base64: bytes.toString('base64') };
  }
}

function formatHeaders(message: Message): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of message.headerEntries) {
    parts.push(Buffer.from(`${parts.length === 0 ? '' : ','}${name}=`), value ?? EMPTY);
  }
  return Buffer.concat(parts);
}

function unknown(sequence: string): UsageError {
  return new UsageError(
    `--format knows %t %p %o %T %k %v %h %% and \\n \\t \\r \\0 \\\\, but not "${sequence}"`,
  );
}
