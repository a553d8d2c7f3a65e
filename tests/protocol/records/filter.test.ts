import {
  ByteChunks,
  filterBatch,
  RecordBatchBuilder,
  RecordBatchView,
  stampAppendTime,
  type BatchHeader,
} from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { allCompressions, batchAround, expectError, plain, T0 } from './fixtures.js';

/** What is read of a batch, and what filtering must leave of it. */
interface ModelRecord {
  readonly offset: number;
  readonly record: ReturnType<typeof plain>;
}

const text = fc.option(fc.string({ maxLength: 300 }));
const record = fc.record({
  key: text,
  value: text,
  headers: fc.array(fc.tuple(fc.string({ maxLength: 20 }), text), { maxLength: 3 }),
  timestampMs: fc.integer({ min: T0 - 10_000_000, max: T0 + 10_000_000 }),
});
const records = fc.array(record, { minLength: 1, maxLength: 60 });
/** Whether the n-th record stays, over and over; most stay, or few. */
const keepSet = fc.oneof(
  fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }),
  fc.array(
    fc.nat(9).map((n) => n > 0),
    { minLength: 1, maxLength: 60 },
  ),
  fc.array(
    fc.nat(9).map((n) => n === 0),
    { minLength: 1, maxLength: 60 },
  ),
);

const modelOf = (view: RecordBatchView): ModelRecord[] =>
  [...view].map((each) => ({ offset: each.offset, record: plain(each) }));

/** What stays of a header whatever is taken out of its batch. */
function lasting({ batchLength, sizeBytes, crc, recordCount, ...rest }: BatchHeader) {
  expect([batchLength, crc].every(Number.isSafeInteger)).toBe(true);
  expect(sizeBytes).toBe(batchLength + 12);
  expect(recordCount).toBeLessThanOrEqual(rest.lastOffsetDelta + 1);
  return rest;
}

/** Filters, checks against the model, and gives what is left; undefined when nothing is. */
function filtered(before: RecordBatchView, keep: readonly boolean[]): RecordBatchView | undefined {
  const model = modelOf(before);
  const stays = (index: number) => keep[index % keep.length] === true;
  const expected = model.filter((_, index) => stays(index));
  const asked: number[] = [];
  const { kept, bytes } = filterBatch(before, (cursor) => {
    asked.push(cursor.offset);
    return stays(asked.length - 1);
  });
  expect(asked).toEqual(model.map(({ offset }) => offset));
  expect(kept).toBe(expected.length);
  if (expected.length === 0) {
    expect(bytes).toBeUndefined();
    return undefined;
  }
  if (expected.length === model.length) {
    expect(bytes).toBe('unchanged');
    return before;
  }
  // Reading checks length, counts and CRC.
  const after = RecordBatchView.read(bytes as Buffer, 0);
  expect(after.bytes).toHaveLength((bytes as Buffer).length);
  expect(modelOf(after)).toEqual(expected);
  expect(after.recordCount).toBe(expected.length);
  expect(lasting(after.header)).toEqual(lasting(before.header));
  return after;
}

describe('filterBatch', () => {
  test.each(allCompressions)('leaves what the model leaves, twice over: %s', (compression) => {
    const builder = new RecordBatchBuilder({ compression });
    const inputs = [records, keepSet, keepSet, fc.boolean(), fc.maxSafeNat()] as const;
    fc.assert(
      fc.property(...inputs, (list, first, second, appendTime, offset) => {
        builder.reset();
        for (const r of list) builder.append(r.key, r.value, r.headers, r.timestampMs);
        const baseOffset = Math.min(offset, Number.MAX_SAFE_INTEGER - list.length);
        const stamp = { producerId: 4711, producerEpoch: 3, baseSequence: 12, leaderEpoch: 9 };
        const batch = builder.build({ ...stamp, baseOffset });
        if (appendTime) stampAppendTime(new ByteChunks([batch]), T0);
        // In the middle of other bytes, as in a file that is read in blocks.
        const around = Buffer.concat([Buffer.alloc(7, 0xee), batch, Buffer.alloc(9, 0xee)]);
        const once = filtered(RecordBatchView.read(around, 7), first);
        if (once !== undefined) filtered(once, second);
      }),
      { numRuns: 100 },
    );
  });

  const hex = (digits: string) => Buffer.from(digits.replaceAll(' ', ''), 'hex');
  const a = '0e 00 00 00 01 02 61 00';
  const b = '0e 00 02 02 01 02 62 00';
  const c = '0e 00 04 04 01 02 63 00';

  test('copies the bytes of the records as they are', () => {
    const batch = batchAround(hex(a + b + c), { recordCount: 3 });
    const keep = [true, false, true];
    const { bytes } = filterBatch(RecordBatchView.read(batch, 0), () => keep.shift() === true);
    expect((bytes as Buffer).subarray(61)).toEqual(hex(a + c));
    expect((bytes as Buffer).readInt32BE(57)).toBe(2);
    expect((bytes as Buffer).readInt32BE(23)).toBe(2);
  });

  test('does not write to the batch that it was given', () => {
    const batch = batchAround(hex(a + b + c), { recordCount: 3 });
    const before = Buffer.from(batch);
    filterBatch(RecordBatchView.read(batch, 0), ({ offset }) => offset === 41);
    expect(batch.equals(before)).toBe(true);
  });

  test('leaves nothing of a batch that has no records', () => {
    const empty = batchAround(Buffer.alloc(0), { recordCount: 0, lastOffsetDelta: 7 });
    const result = filterBatch(RecordBatchView.read(empty, 0), () => true);
    expect(result).toEqual({ kept: 0, bytes: undefined });
  });

  test('refuses damaged records even when all before them stay', () => {
    const damaged = batchAround(hex(`${a} 0e 00 00 04 01 7e 62 00`), { recordCount: 2 });
    const run = () => filterBatch(RecordBatchView.read(damaged, 0), () => true);
    expectError(run, 'CORRUPT_MESSAGE', /record 1 of 2, at byte 8 .* claims a value of 63 bytes/);
    const more = batchAround(hex(a + b), { recordCount: 1 });
    const after = () => filterBatch(RecordBatchView.read(more, 0), () => true);
    expectError(after, 'CORRUPT_MESSAGE', /bytes after its last record/);
  });
});
