import type { Message } from '../consumer/message.js';
import { quoted } from '../util/text.js';
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
    if (character === '%') {
      const letter = format.charAt((index += 1));
      const field = fields[letter];
      if (field === undefined) throw unknown(`%${letter}`);
      endLiteral();
      pieces.push(field);
    } else if (character === '\\') {
      const letter = format.charAt((index += 1));
      const escaped = escapes[letter];
      if (escaped === undefined) throw unknown(`\\${letter}`);
      literal += escaped;
    } else literal += character;
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
 * Text in which `\n`, `\t`, `\r`, `\0` and `\\` stand for what they mean in a format.
 *
 * @param option what to name when there is something else after a backslash
 * @throws UsageError
 */
export function unescaped(text: string, option: string): string {
  return text.replace(/\\([^]?)/g, (sequence, letter: string) => {
    const meant = escapes[letter];
    if (meant !== undefined) return meant;
    throw new UsageError(`${option} knows \\n \\t \\r \\0 \\\\, but not ${quoted(sequence)}`);
  });
}

/**
 * One JSON object per line. Key, value and header values are strings where they are valid UTF-8,
 * else `{"base64": "…"}`.
 */
export function jsonLine(message: Message): Buffer {
  return Buffer.from(`${JSON.stringify(message)}\n`);
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
    `--format knows %t %p %o %T %k %v %h %% and \\n \\t \\r \\0 \\\\, but not ${quoted(sequence)}`,
  );
}
