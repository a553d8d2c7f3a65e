import {
  ByteChunks,
  inspectBatches,
  readBatches,
  RecordBatchBuilder,
  RecordBatchView,
  type RecordBytes,
} from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { allCompressions, batchAround, limits } from './fixtures.js';

interface Sample {
  readonly key: RecordBytes;
  readonly value: RecordBytes;
  readonly headers: readonly (readonly [string, RecordBytes])[];
  readonly timestampMs: number;
}

const bytes = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ maxLength: 2000 }),
);
const time = fc.oneof(
  fc.integer({ min: -1, max: 1000 }),
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }),
);
const sample: fc.Arbitrary<Sample> = fc.record({
  key: bytes,
  value: bytes,
  headers: fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 80 }), bytes), {
    maxLength: 4,
  }),
  timestampMs: time,
});
const samples = fc.array(sample, { minLength: 1, maxLength: 40 });

const asHex = (content: RecordBytes) =>
  content === null ? null : Buffer.from(content as Uint8Array).toString('hex');
const expected = ({ key, value, headers, timestampMs }: Sample) => ({
  key: asHex(key),
  value: asHex(value),
  headers: headers.map(([name, content]) => [name, asHex(content)]),
  timestampMs,
});

describe('random records', () => {
  test.each(allCompressions)('come back as they were written: %s', (compression) => {
    const builder = new RecordBatchBuilder({ compression, initialBytes: 100 });
    fc.assert(
      fc.property(samples, fc.maxSafeNat(), (records, offset) => {
        const baseOffset = Math.min(offset, Number.MAX_SAFE_INTEGER - records.length);
        builder.reset();
        for (const r of records) builder.append(r.key, r.value, r.headers, r.timestampMs);
        const batch = builder.build({ baseOffset });
        const found = inspectBatches(new ByteChunks([batch]), limits);
        expect(found).toHaveLength(1);
        const [view] = readBatches(batch);
        const read = [...(view ?? [])];
        expect(read.map(expected)).toEqual(records.map(expected));
        expect(read.map((r) => r.offset)).toEqual(records.map((_, i) => baseOffset + i));
        expect(found[0]?.header.maxTimestampMs).toBe(
          Math.max(...records.map((r) => r.timestampMs)),
        );
      }),
      { numRuns: 60 },
    );
  });
});

/** Runs a reader over hostile bytes: it may only end, or throw a ProtocolError. */
function expectOnlyProtocolErrors(run: () => Iterable<unknown>): void {
  try {
    for (const item of run()) expect(item).toBeDefined();
  } catch (error) {
    if (!(error instanceof Error && error.name === 'ProtocolError')) throw error;
  }
}

function* readEverything(batch: Buffer, checkCrc: boolean): Generator {
  for (const view of readBatches(batch, { checkCrc, maxDecompressedBytes: 1_048_576 })) {
    for (const record of view) {
      const { key, value, headers } = record;
      yield [key, value, headers];
    }
  }
}

describe('hostile bytes', () => {
  test.each(allCompressions)('behind a right CRC: %s', (compression) => {
    const attributes = allCompressions.indexOf(compression);
    const payload = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(payload, fc.integer({ min: 0, max: 5 }), (content, recordCount) => {
        const batch = batchAround(Buffer.from(content), { attributes, recordCount });
        expectOnlyProtocolErrors(() => readEverything(batch, true));
      }),
      { numRuns: 300 },
    );
  });

  test.each(allCompressions)('in a good batch, with the CRC unchecked: %s', (compression) => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(samples, edits, fc.nat(), (records, changes, cut) => {
        const builder = new RecordBatchBuilder({ compression });
        for (const r of records) builder.append(r.key, r.value, r.headers, r.timestampMs);
        const batch = builder.build();
        for (const [position, byte] of changes) batch[21 + (position % (batch.length - 21))] = byte;
        expectOnlyProtocolErrors(() => readEverything(batch, false));
        const part = batch.subarray(0, cut % batch.length);
        expectOnlyProtocolErrors(() => readEverything(part, false));
        expectOnlyProtocolErrors(() => RecordBatchView.read(part, 0));
      }),
      { numRuns: 150 },
    );
  });

  test('in place of records, never a byte outside of them', () => {
    const secret = 0xee;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (content) => {
        const clean = Buffer.from(content.map((byte) => (byte === secret ? 0 : byte)));
        const batch = batchAround(clean, { recordCount: 2 });
        const around = Buffer.concat([Buffer.alloc(64, secret), batch, Buffer.alloc(64, secret)]);
        expectOnlyProtocolErrors(function* () {
          for (const { key, value, headers } of RecordBatchView.read(around, 64)) {
            for (const part of [key, value, ...headers.map(([, v]) => v)]) {
              expect(part?.includes(secret) ?? false).toBe(false);
            }
            yield value;
          }
        });
      }),
      { numRuns: 1000 },
    );
  });
});
