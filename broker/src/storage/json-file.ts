import { readFile } from 'node:fs/promises';
import { crc32c } from '@millrace/protocol';
import { writeFileAtomically } from './atomic-file.js';
import { DataDirError, errnoOf } from './errors.js';

interface Envelope {
  readonly crc32c: string;
  readonly content: unknown;
}

/** `content` as metadata files hold it: readable JSON with a checksum over the content's own JSON. */
export function encodeJsonFile(content: unknown): string {
  const envelope: Envelope = { crc32c: checksum(content), content };
  return `${JSON.stringify(envelope, undefined, 2)}\n`;
}

/** The same without the readable layout: for files that are large, or written often. */
export function encodeCompactJsonFile(content: unknown): string {
  const text = JSON.stringify(content);
  return `{"crc32c":"${checksumOf(text)}","content":${text}}\n`;
}

/** Replaces the metadata file at `path`, durably and as a whole. */
export async function writeJsonFile(path: string, content: unknown): Promise<void> {
  await writeFileAtomically(path, encodeJsonFile(content));
}

/**
 * The content of the metadata file at `path`; undefined when there is no such file.
 * @throws DataDirError `damaged` when it is not JSON or its checksum does not fit.
 */
export async function readJsonFile(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const envelope = parse(text);
  if (envelope === undefined || envelope.crc32c !== checksum(envelope.content)) {
    throw new DataDirError(
      'damaged',
      `${path} is damaged (its checksum does not fit); restore it from a backup`,
    );
  }
  return envelope.content;
}

/** Beside a file that is written seldom, and that nothing else could replace, lies another of the same content. */
export const COPY_SUFFIX = '.copy';

/** Replaces the metadata file at `path` and the copy beside it, durably, one after the other. */
export async function writeJsonFileAndCopy(path: string, content: unknown): Promise<void> {
  await writeJsonFile(path, content);
  await writeJsonFile(`${path}${COPY_SUFFIX}`, content);
}

/**
 * The content of the metadata file at `path`, or of its copy where it is damaged or gone; undefined when
 * there is neither. Changes nothing.
 * @throws DataDirError `damaged` when neither can be read.
 */
export async function readJsonFileOrCopy(path: string): Promise<unknown> {
  const copy = `${path}${COPY_SUFFIX}`;
  try {
    return (await readJsonFile(path)) ?? (await readJsonFile(copy));
  } catch (error) {
    if (!(error instanceof DataDirError)) throw error;
    // Of two that are damaged, the error names the one that counts.
    const content = await readJsonFile(copy).catch(() => undefined);
    if (content === undefined) throw error;
    return content;
  }
}

/** Makes the file at `path` and its copy say `content`, where one of them does not. */
export async function healJsonFile(path: string, content: unknown): Promise<'sound' | 'healed'> {
  const should = encodeJsonFile(content);
  let outcome: 'sound' | 'healed' = 'sound';
  for (const each of [path, `${path}${COPY_SUFFIX}`]) {
    const is = await readFile(each, 'utf8').catch(() => undefined);
    if (is === should) continue;
    await writeFileAtomically(each, should);
    outcome = 'healed';
  }
  return outcome;
}

function parse(text: string): Envelope | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    if (!('crc32c' in value) || !('content' in value)) return undefined;
    if (typeof value.crc32c !== 'string') return undefined;
    return { crc32c: value.crc32c, content: value.content };
  } catch {
    return undefined;
  }
}

function checksum(content: unknown): string {
  return checksumOf(JSON.stringify(content));
}

function checksumOf(text: string): string {
  return crc32c(Buffer.from(text)).toString(16).padStart(8, '0');
}
