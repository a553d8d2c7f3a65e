import { unlinkSync } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';

/** More than that does not stay: a host is told of free memory within seconds. */
export const MAX_WARM_BYTES = 2 ** 30;
const PIECE_BYTES = 2 ** 20;

/**
 * Has the page cache take memory and give it back, so that what is appended next gets memory that this machine has.
 *
 * The host of a virtual machine takes back what was free for a second or two (free page reporting), and the first
 * touch after that costs 0.6 s/GiB and more, in the time of whoever comes first. Without this, that is chance: a
 * contender that starts at once finds what the one before it let go, and one that takes a second to start does not. A
 * machine that has long been up has its memory: its page cache is full.
 *
 * @param directory where appends go. Nothing is left there. Where it takes no file, or has not twice the room for it,
 *   memory stays as it is: a broker may be storing there.
 * @param appendedBytes what will be appended; at most {@link MAX_WARM_BYTES} of it count.
 * @param signal ends it early.
 * @returns how many bytes of memory were had.
 */
export async function warmMemory(
  directory: string,
  appendedBytes: number,
  signal?: AbortSignal,
): Promise<number> {
  const bytes = Math.min(appendedBytes, MAX_WARM_BYTES);
  const free = await statfs(directory).catch(() => undefined);
  if (free === undefined || free.bavail * free.bsize < 2 * bytes) return 0;
  const path = join(directory, `millrace-bench-memory-${process.pid}`);
  const piece = Buffer.alloc(PIECE_BYTES, 1);
  const file = await open(path, 'wx').catch(() => undefined);
  if (file === undefined) return 0;
  let done = 0;
  try {
    // Without a name nothing is left, however this ends.
    unlinkSync(path);
    while (done < bytes && signal?.aborted !== true)
      done += (await file.write(piece, 0, Math.min(PIECE_BYTES, bytes - done))).bytesWritten;
  } catch {
    // A quota, or somebody else took the room: the load itself will say so.
  } finally {
    await file.close();
  }
  return done;
}
