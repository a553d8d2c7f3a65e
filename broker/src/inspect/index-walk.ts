import { INDEX_ENTRY_BYTES, OffsetIndex } from '../storage/offset-index.js';
import type { IndexEntry } from '../storage/offset-index.js';
import type { FileReader } from './file-reader.js';

/** An entry of an index file, or what is wrong where one must be. */
export interface WalkedEntry {
  /** In the index file. */
  readonly position: number;
  readonly entry: IndexEntry | undefined;
  readonly problem: string | undefined;
}

/** The entries of an index file, up to the first that cannot be read. */
export function* walkEntries(file: FileReader, baseOffset: number): Generator<WalkedEntry, void> {
  let position = 0;
  for (; position < file.sizeBytes; position += INDEX_ENTRY_BYTES) {
    const bytes = file.bytes(position, INDEX_ENTRY_BYTES);
    const problem =
      bytes.length < INDEX_ENTRY_BYTES
        ? `the file ends within an entry, ${bytes.length} bytes behind its start`
        : undefined;
    const entry = problem === undefined ? OffsetIndex.lastEntry(baseOffset, bytes) : undefined;
    if (entry !== undefined) {
      yield { position, entry, problem: undefined };
      continue;
    }
    yield { position, entry, problem: problem ?? 'the checksum of the entry does not fit' };
    return;
  }
}
