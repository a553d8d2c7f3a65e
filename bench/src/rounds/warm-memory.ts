import { unlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoadLimit } from '../load/spec.js';

/** More than that does not stay: a host is told of free memory within seconds. */
const MAX_WARM_BYTES = 2 ** 30;
const PIECE_BYTES = 2 ** 20;

/**
 * Has the page cache take memory and give it back, so that what is appended next gets memory that this machine has.
 *
 * The host of a virtual machine takes back what was free for a second or two (free page reporting), and the first
 * touch after that costs 0.6 s/GiB and more, in the time of whoever comes first. Without this, that is chance: a
 * contender that starts at once finds what the one before it let go, and one that takes a second to start does not. A
 * machine that has long been up has its memory: its page cache is full.
 *
 * @param directory where appends go. Nothing is left there. Where it takes no file, memory stays as it is.
 * @param limit what will be appended.
 * @param signal ends it early.
 */
export async function warmMemory(
  directory: string,
  limit: LoadLimit,
  signal?: AbortSignal,
): Promise<void> {
  const bytes = Math.min('bytes' in limit ? limit.bytes : MAX_WARM_BYTES, MAX_WARM_BYTES);
  const path = join(directory, `millrace-bench-memory-${process.pid}`);
  const piece = Buffer.alloc(PIECE_BYTES, 1);
  const file = await open(path, 'wx').catch(() => undefined);
  if (file === undefined) return;
  try {
    // Without a name nothing is left, however this ends.
    unlinkSync(path);
    for (let done = 0; done < bytes && signal?.aborted !== true; done += PIECE_BYTES)
      await file.write(piece);
  } catch {
    // A full disk: the load itself will say so.
  } finally {
    await file.close();
  }
}
