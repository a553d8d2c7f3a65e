import { BatchScanner } from './batch-scanner.js';
import type { ScannedBatch } from './batch-scanner.js';
import type { StorageFile } from './persistence/file.js';
import { nextTurn, warmIfCold } from './warm-up.js';

/** How far batches are walked in one turn of the event loop; a lookup by the index ends long before. */
const WALK_TURN_BYTES = 1024 * 1024;

export interface BatchWalk {
  readonly file: StorageFile;
  /** Where the first batch begins, and where the last one ends, in bytes. */
  readonly from: number;
  readonly end: number;
  /** How much is read at a time; default: as for a lookup. */
  readonly windowBytes: number | undefined;
  /** Called after each turn of the event loop; what it throws ends the walk. */
  readonly check: () => void;
}

/**
 * The first batch for which `stop` holds; undefined when there is none. Cold pages are read off the main
 * thread, and a long walk takes many turns of the event loop.
 */
export async function walkBatches(
  { file, from, end, windowBytes, check }: BatchWalk,
  stop: (batch: ScannedBatch) => boolean,
): Promise<ScannedBatch | undefined> {
  const scanner = new BatchScanner(file, from, end, windowBytes);
  let turnEnds = from;
  for (;;) {
    const { position } = scanner;
    if (position >= turnEnds) {
      if (position > from) {
        await nextTurn();
        check();
      }
      // The last read of this turn may begin just before its end.
      const reads = WALK_TURN_BYTES + scanner.windowBytes;
      await warmIfCold(file, position, Math.min(end - position, reads));
      turnEnds = position + WALK_TURN_BYTES;
    }
    const batch = scanner.next();
    if (batch === undefined) return undefined;
    if (stop(batch)) return batch;
  }
}
