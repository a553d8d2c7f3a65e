import { open, readFile } from 'node:fs/promises';
import { errnoOf } from './errors.js';
import { INDEX_ENTRY_BYTES, OffsetIndex } from './offset-index.js';
import type { IndexEntry } from './offset-index.js';

/** The bytes of an index file; none when it is not there: it can be rebuilt. */
export async function readIndexFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return Buffer.alloc(0);
  }
}

/** The last entry of an index file, by itself; undefined when there is none that can be believed. */
export async function readLastIndexEntry(
  path: string,
  baseOffset: number,
): Promise<IndexEntry | undefined> {
  const bytes = Buffer.alloc(INDEX_ENTRY_BYTES);
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size === 0 || size % INDEX_ENTRY_BYTES !== 0) return undefined;
      await file.read(bytes, 0, bytes.length, size - bytes.length);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  return OffsetIndex.lastEntry(baseOffset, bytes);
}
