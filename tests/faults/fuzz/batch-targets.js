/* Record batches: what the broker checks, and what a client reads; see targets.js. */
import assert from 'node:assert';
import {
  BATCH_OVERHEAD_BYTES,
  ByteChunks,
  crc32c,
  filterBatch,
  firstNullKey,
  inspectBatches,
  ProtocolError,
  readBatches,
  RecordBatchView,
  stampBatch,
} from '@millrace/protocol';
import { FetchedBatch } from '../../../client/dist/consumer/fetched-batch.js';
import { PartitionReader } from '../../../client/dist/consumer/partition-reader.js';
import { mutate } from './mutate.js';
import { batches, bombs } from './seeds.js';

const CODEC_MASK = 0x07;
const MAX_DECOMPRESSED_BYTES = 1024 * 1024;
const reading = { maxDecompressedBytes: MAX_DECOMPRESSED_BYTES };
const limits = { maxBatchBytes: 64 * 1024, maxRecordsPerBatch: 1000, maxBatches: 4 };

const all = batches();
const plain = all.filter(({ bytes }) => (bytes.readInt16BE(21) & CODEC_MASK) === 0);
const compressed = all.filter(({ bytes }) => (bytes.readInt16BE(21) & CODEC_MASK) !== 0);
const bombSeeds = bombs();

/** Length, magic and CRC made right again, mostly: what lies behind them is to be reached. */
function repaired(random, bytes) {
  if (bytes.length < BATCH_OVERHEAD_BYTES || random.chance(0.1)) return bytes;
  if (random.chance(0.9)) bytes.writeInt32BE(bytes.length - 12, 8);
  if (random.chance(0.95)) bytes.writeInt8(2, 16);
  if (random.chance(0.95)) bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}

function batchOf(random, seeds) {
  const seed = random.pick(seeds);
  return random.chance(0.03)
    ? Buffer.from(seed.bytes)
    : repaired(random, mutate(random, seed, seeds));
}

/** One to three batches in a row. */
function batchesOf(random, seeds) {
  const count = random.chance(0.7) ? 1 : 2 + random.int(2);
  return Buffer.concat(Array.from({ length: count }, () => batchOf(random, seeds)));
}

/** In chunks, as they come off a socket; cut by the bytes themselves, so that their hex repeats it. */
function chunked(bytes) {
  const at = bytes.length === 0 ? 0 : (bytes[bytes.length >> 1] * 251) % bytes.length;
  return new ByteChunks(
    [bytes.subarray(0, at), bytes.subarray(at)].filter(({ length }) => length > 0),
  );
}

function walk(batch) {
  const cursor = batch.cursor();
  let count = 0;
  while (cursor.next()) {
    count += 1;
    assert((cursor.key()?.length ?? 0) + (cursor.value()?.length ?? 0) <= cursor.bytes.length);
    for (const [name] of cursor.headers()) assert.strictEqual(typeof name, 'string');
    assert(cursor.offset <= batch.lastOffset && Number.isSafeInteger(cursor.timestampMs));
  }
  assert.strictEqual(count, batch.recordCount);
}

/** The way of a produced batch through a broker. */
function acceptAndStore(bytes) {
  for (const { header, position } of inspectBatches(chunked(bytes), limits)) {
    const batch = Buffer.from(bytes.subarray(position, position + header.sizeBytes));
    stampBatch(new ByteChunks([batch]), 0, 1_000_000, 5);
    const view = RecordBatchView.read(batch, 0, reading);
    assert.strictEqual(view.baseOffset, 1_000_000);
    firstNullKey(new ByteChunks([batch]), MAX_DECOMPRESSED_BYTES);
    const { kept, bytes: left } = filterBatch(view, (cursor) => cursor.offset % 2 === 0);
    if (left instanceof Uint8Array)
      assert.strictEqual(RecordBatchView.read(left, 0).recordCount, kept);
  }
}

/** The way of a fetched stretch through a client. */
function consume(bytes) {
  const reader = new PartitionReader('orders', '0'.repeat(32), 3, 0);
  for (const { position, fromOffset } of reader.cut(bytes, 10)) {
    const origin = { topic: 'orders', partition: 3, fromOffset, highWatermark: 10 };
    const batch = FetchedBatch.read(bytes, position, origin, true);
    for (const message of batch) assert(message.offset >= fromOffset);
  }
}

export const batchTargets = [
  {
    name: 'produced batches',
    weight: 6,
    make: (random) => batchesOf(random, plain),
    run: acceptAndStore,
  },
  {
    name: 'fetched batches',
    weight: 6,
    make: (random) => batchesOf(random, plain),
    run: consume,
  },
  {
    name: 'batches without their CRC',
    weight: 3,
    make: (random) => batchesOf(random, plain),
    run: (bytes) => {
      for (const batch of readBatches(bytes, { ...reading, checkCrc: false })) walk(batch);
    },
  },
  {
    name: 'compressed batches',
    weight: 2,
    make: (random) => batchOf(random, compressed),
    run: (bytes) => {
      walk(RecordBatchView.read(bytes, 0, reading));
    },
  },
  {
    name: 'batches that unpack to more than may be',
    weight: 0.2,
    make: (random) =>
      random.chance(0.3) ? random.pick(bombSeeds).bytes : batchOf(random, bombSeeds),
    run: (bytes) => {
      const batch = RecordBatchView.read(bytes, 0, reading);
      const cursor = batch.cursor();
      if (cursor.bytes.length > Math.max(MAX_DECOMPRESSED_BYTES, bytes.length)) {
        throw new Error(`unpacked to ${cursor.bytes.length} bytes`);
      }
      throw new ProtocolError('CORRUPT_MESSAGE', 'small enough');
    },
  },
];
