import type { ByteChunks } from '../bytes.js';
import { at, writeInt64 } from './layout.js';

const scratch = Buffer.alloc(at.magic);

/**
 * Gives a batch its place in the log: rewrites base offset and leader epoch in place, wherever
 * the chunks split them. Both lie outside of the CRC.
 *
 * @param position where the batch starts.
 * @throws RangeError when these fields are not within the bytes.
 */
export function stampBatch(
  bytes: ByteChunks,
  position: number,
  baseOffset: number,
  leaderEpoch: number,
): void {
  if (!Number.isSafeInteger(baseOffset) || position < 0 || position + at.magic > bytes.length) {
    throw new RangeError(
      `Cannot stamp base offset ${baseOffset} at byte ${position} of ${bytes.length}`,
    );
  }
  let chunkStart = 0;
  for (const chunk of bytes.chunks) {
    const local = position - chunkStart;
    chunkStart += chunk.length;
    if (local >= chunk.length) continue;
    if (local + at.magic <= chunk.length) {
      writeInt64(chunk, local + at.baseOffset, baseOffset);
      chunk.writeInt32BE(leaderEpoch, local + at.partitionLeaderEpoch);
      return;
    }
    break;
  }
  writeInt64(scratch, 0, baseOffset);
  scatter(bytes, position + at.baseOffset, scratch.subarray(0, 8));
  scratch.writeInt32BE(leaderEpoch, 0);
  scatter(bytes, position + at.partitionLeaderEpoch, scratch.subarray(0, 4));
}

function scatter(bytes: ByteChunks, position: number, source: Buffer): void {
  let chunkStart = 0;
  let done = 0;
  for (const chunk of bytes.chunks) {
    const local = position + done - chunkStart;
    chunkStart += chunk.length;
    if (local < chunk.length) done += source.copy(chunk, local, done);
    if (done === source.length) return;
  }
}
