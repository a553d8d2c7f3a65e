import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { quoted } from '../util/text.js';
import { CommandError } from './exit.js';

/**
 * The bytes of a file.
 *
 * @throws CommandError that says in plain words why it cannot be read.
 */
export async function readFileBytes(path: string): Promise<Readable> {
  try {
    const file = await open(path);
    if (!(await file.stat()).isDirectory()) return file.createReadStream();
    await file.close();
  } catch (error) {
    throw new CommandError(`cannot read ${quoted(path)}: ${reasonOf(error)}`, { cause: error });
  }
  throw new CommandError(`cannot read ${quoted(path)}: it is a directory`);
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file';
    case 'EACCES':
    case 'EPERM':
      return 'you have no permission';
    default:
      return message;
  }
}
