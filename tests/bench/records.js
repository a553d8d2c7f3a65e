/**
 * How fast record batches are written, read and inspected, in nanoseconds per message (or
 * microseconds per batch), best of several rounds. Build first, then:
 *
 *     node tests/bench/records.js [messages per round, default 1000000]
 */
import {
  ByteChunks,
  crc32c,
  inspectBatches,
  RecordBatchBuilder,
  RecordBatchView,
  stampBatch,
} from '@millrace/protocol';

const messages = Number(process.argv[2] ?? 1_000_000);
const ROUNDS = 5;
const BATCH_BYTES = 262_144;
const limits = { maxBatchBytes: 4 * BATCH_BYTES, maxRecordsPerBatch: 1_000_000 };
const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const nowMs = 1_700_000_000_000;

const words = 'order customer paid shipped amount currency EUR basket item quantity '.split(' ');
const text = Array.from({ length: 40 }, (_, i) => words[(i * i + 3 * i) % words.length]).join(' ');
const value = Buffer.from(text).subarray(0, 100);
const valueText = value.toString();
const key = Buffer.from('customer-00001234567');
const keyText = key.toString();
const headers = [['trace-id', Buffer.from('0123456789abcdef')]];

/** Best time of a run, in nanoseconds per unit. */
function best(units, run) {
  let bestNs = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    run();
    bestNs = Math.min(bestNs, Number(process.hrtime.bigint() - start) / units);
  }
  return bestNs;
}

function report(what, ns, unit = 'message') {
  const amount = unit === 'message' ? `${ns.toFixed(0)} ns` : `${(ns / 1000).toFixed(2)} µs`;
  const rate = unit === 'message' ? `  ${(1000 / ns).toFixed(2)} M/s` : '';
  console.log(`${what.padEnd(52)} ${amount.padStart(9)} per ${unit}${rate}`);
}

function fill(builder, count, k, v, h) {
  const batches = [];
  for (let i = 0; i < count; i++) {
    if (builder.sizeBytes > BATCH_BYTES - 256) {
      batches.push(builder.build({ producerId: 1, producerEpoch: 0, baseSequence: 0 }));
      builder.reset();
    }
    builder.append(k, v, h, nowMs + (i & 1023));
  }
  batches.push(builder.build());
  builder.reset();
  return batches;
}

const builder = new RecordBatchBuilder({ initialBytes: BATCH_BYTES });
const shapes = [
  ['value 100 B', null, value, null],
  ['key 20 B, value 100 B', key, value, null],
  ['text value of 100 characters', null, valueText, null],
  ['text key of 20, text value of 100 characters', keyText, valueText, null],
  ['key, value and one header', key, value, headers],
];
for (const [name, k, v, h] of shapes) {
  report(
    `build: ${name}`,
    best(messages, () => fill(builder, messages, k, v, h)),
  );
}

const batches = fill(builder, messages, null, value, null);
const keyed = fill(builder, messages, key, value, headers);
let sink = 0;

function readAll(source, visit) {
  for (const batch of source) {
    const cursor = RecordBatchView.read(batch, 0).cursor();
    while (cursor.next()) visit(cursor);
  }
}
const reads = [
  ['cursor: offset, timestamp, lengths', batches, (c) => (sink += c.offset + c.valueLength)],
  ['cursor: and value()', batches, (c) => (sink += c.offset + c.value()[0])],
  ['cursor: keyed with header, value()', keyed, (c) => (sink += c.offset + c.value()[0])],
  [
    'cursor: key(), value(), headers()',
    keyed,
    (c) => (sink += c.key()[0] + c.value()[0] + c.headers().length),
  ],
];
for (const [name, source, visit] of reads) {
  report(
    name,
    best(messages, () => readAll(source, visit)),
  );
}
const iterate = () => {
  for (const batch of batches) {
    for (const record of RecordBatchView.read(batch, 0)) sink += record.offset + record.value[0];
  }
};
report('iterator: value', best(messages, iterate));

for (const compression of codecs.slice(1)) {
  const packer = new RecordBatchBuilder({ compression, initialBytes: BATCH_BYTES });
  const count = Math.ceil(messages / 5);
  let packed = [];
  report(
    `build: value 100 B, ${compression}`,
    best(count, () => (packed = fill(packer, count, null, value, null))),
  );
  report(
    `cursor: ${compression}`,
    best(count, () => readAll(packed, (c) => (sink += c.value()[0]))),
  );
}

for (const bytes of [100, 16_384, BATCH_BYTES]) {
  const records = Math.max(1, Math.floor(bytes / 110));
  const one = fill(builder, records, null, value, null)[0];
  const count = Math.max(20, Math.floor(2e8 / (one.length + 5000) / 10));
  const whole = new ByteChunks([one]);
  const split = new ByteChunks([one.subarray(0, 30), one.subarray(30, 80), one.subarray(80)]);
  const loop = (run) => () => {
    for (let i = 0; i < count; i++) run();
  };
  const name = `${one.length} B`;
  report(
    `inspect: batch of ${name}`,
    best(
      count,
      loop(() => inspectBatches(whole, limits)),
    ),
    'batch',
  );
  report(
    `inspect: the same, header split`,
    best(
      count,
      loop(() => inspectBatches(split, limits)),
    ),
    'batch',
  );
  report(
    `  of which CRC`,
    best(
      count,
      loop(() => (sink += crc32c(one))),
    ),
    'batch',
  );
  report(
    `stamp`,
    best(
      count,
      loop(() => stampBatch(whole, 0, 12345, 1)),
    ),
    'batch',
  );
}
if (!Number.isFinite(sink)) process.exitCode = 1;
