import type { ByteChunks } from '../bytes.js';
import { crc32c } from './crc.js';
import { at, attribute, BATCH_OVERHEAD_BYTES, LENGTH_PREFIX_BYTES, writeInt64 } from './layout.js';

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

/**
 * Makes the broker's time that of every record of a batch (`message.timestamp.type` =
 * `LogAppendTime`): sets the attribute and the maximum timestamp in place, wherever the chunks
 * split them, and recomputes the CRC in one walk over the bytes. The timestamps in the records
 * stay; readers do not look at them.
 *
 * @param bytes exactly one batch.
 * @param timeMs milliseconds since 1970.
 * @throws RangeError when the bytes are not one batch, or the time is none.
 */
export function stampAppendTime(bytes: ByteChunks, timeMs: number): void {
  const validTime = Number.isSafeInteger(timeMs) && timeMs >= 0;
  if (!validTime || bytes.length < BATCH_OVERHEAD_BYTES || bytes.length !== sizeOf(bytes)) {
    throw new RangeError(`Cannot stamp append time ${timeMs} on ${bytes.length} bytes`);
  }
  const attributes = bytes.view(at.attributes, 2).readInt16BE(0);
  scratch.writeInt16BE(attributes | attribute.logAppendTime, 0);
  scatter(bytes, at.attributes, scratch.subarray(0, 2));
  writeInt64(scratch, 0, timeMs);
  scatter(bytes, at.maxTimestamp, scratch.subarray(0, 8));
  scratch.writeUInt32BE(crc32c(bytes.slice(at.attributes)), 0);
  scatter(bytes, at.crc, scratch.subarray(0, 4));
}

function sizeOf(bytes: ByteChunks): number {
  return LENGTH_PREFIX_BYTES + bytes.view(at.batchLength, 4).readInt32BE(0);
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
