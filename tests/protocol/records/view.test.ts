import { crc32c, readBatches, RecordBatchBuilder, RecordBatchView } from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';

import { batchAround, expectError, plain, protocolError, T0 } from './fixtures.js';

function batchOf(values: readonly string[], baseOffset = 0): Buffer {
  const builder = new RecordBatchBuilder();
  for (const value of values) builder.append('k', value, [['h', 'x']], T0);
  return builder.build({ baseOffset });
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const readAll = (batch: Buffer) => [...RecordBatchView.read(batch, 0)].map(plain);

describe('RecordBatchView', () => {
  test('gives records by cursor as it does by iterator', () => {
    const view = RecordBatchView.read(batchOf(['a', 'b', 'c'], 100), 0);
    const cursor = view.cursor();
    const seen = [];
    while (cursor.next()) {
      const value = cursor.bytes.toString('utf8', cursor.valueStart, cursor.valueStart + 1);
      expect(cursor.value()?.toString()).toBe(value);
      expect(cursor.valueLength).toBe(1);
      expect(cursor.key()?.toString()).toBe('k');
      expect(cursor.headers()).toEqual([['h', Buffer.from('x')]]);
      seen.push([cursor.offset, cursor.timestampMs, value]);
    }
    expect(cursor.next()).toBe(false);
    expect(seen).toEqual([...view].map((r) => [r.offset, r.timestampMs, r.value?.toString()]));
    expect([view.baseOffset, view.lastOffset, view.recordCount]).toEqual([100, 102, 3]);
  });

  test('gives values that are Buffers over the bytes received', () => {
    const batch = batchOf(['value']);
    const [record] = RecordBatchView.read(batch, 0);
    const value = record?.value;
    expect(Buffer.isBuffer(value)).toBe(true);
    expect(value).toStrictEqual(Buffer.from('value'));
    expect(value?.buffer).toBe(batch.buffer);
    expect(value?.subarray(1, 3).toString('hex')).toBe('616c');
    expect(structuredClone(value)).toEqual(new Uint8Array(Buffer.from('value')));
  });

  test('keeps records valid after the iteration went on', () => {
    const records = [...RecordBatchView.read(batchOf(['a', 'b']), 0)];
    expect(records.map((r) => r.value?.toString())).toEqual(['a', 'b']);
    expect(records[0]?.headers).toEqual([['h', Buffer.from('x')]]);
  });

  test('reads a batch in the middle of a buffer', () => {
    const bytes = Buffer.concat([Buffer.alloc(13), batchOf(['a']), Buffer.alloc(3)]);
    const [record] = RecordBatchView.read(bytes, 13);
    expect(record?.value?.toString()).toBe('a');
  });

  test('takes the time of all records from the batch when the broker set it', () => {
    const record = hex('0c 00 05 00 01 01 00');
    const [create] = RecordBatchView.read(batchAround(record), 0);
    expect(create?.timestampMs).toBe(T0 - 3);
    const [append] = RecordBatchView.read(batchAround(record, { attributes: 8 }), 0);
    expect(append?.timestampMs).toBe(T0 + 9);
  });

  test('reads what compaction leaves: gaps between offsets, and no records at all', () => {
    const records = hex('0c 00 00 04 01 01 00  0c 00 00 0a 01 01 00');
    const gaps = batchAround(records, { recordCount: 2, lastOffsetDelta: 7 });
    expect([...RecordBatchView.read(gaps, 0)].map((r) => r.offset)).toEqual([42, 45]);
    const empty = batchAround(Buffer.alloc(0), { recordCount: 0, lastOffsetDelta: 7 });
    expect(readAll(empty)).toEqual([]);
    expect(RecordBatchView.read(empty, 0).lastOffset).toBe(47);
  });

  test('refuses more records than there are offsets for them', () => {
    const batch = batchAround(hex('0c 00 00 00 01 01 00'), { recordCount: 2, lastOffsetDelta: 0 });
    const run = () => RecordBatchView.read(batch, 0);
    expectError(run, 'CORRUPT_MESSAGE', /base offset 40 .* claims 2 records for 1 offsets/);
  });

  test('gives its bytes, and where each record ends in those of the cursor', () => {
    const batch = batchOf(['a', 'bcd']);
    const view = RecordBatchView.read(Buffer.concat([Buffer.alloc(5), batch, Buffer.alloc(5)]), 5);
    expect(view.bytes.equals(batch)).toBe(true);
    const cursor = view.cursor();
    const ends = [cursor.recordEnd];
    while (cursor.next()) ends.push(cursor.recordEnd);
    expect(ends).toEqual([66, 5 + batch.length - 15, 5 + batch.length]);
  });

  test('tells control batches from others', () => {
    const record = hex('0c 00 00 00 01 01 00');
    expect(RecordBatchView.read(batchAround(record), 0).isControl).toBe(false);
    expect(RecordBatchView.read(batchAround(record, { attributes: 0x30 }), 0).isControl).toBe(true);
  });

  test('detects any flipped bit after the CRC, unless told not to check', () => {
    const good = batchOf(['value'], 9);
    for (let bit = 21 * 8; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good);
      bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const { errorName, message } = protocolError(() => RecordBatchView.read(bad, 0));
      expect(errorName).toBe('CORRUPT_MESSAGE');
      expect(message).toContain('base offset 9');
    }
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(43) ^ 1, 43);
    expect(RecordBatchView.read(bad, 0, { checkCrc: false }).recordCount).toBe(1);
  });

  test.each([
    ['a magic other than 2', 'UNSUPPORTED_FOR_MESSAGE_FORMAT', (b: Buffer) => b.writeInt8(1, 16)],
    ['an undefined codec', 'UNSUPPORTED_COMPRESSION_TYPE', (b: Buffer) => b.writeInt16BE(5, 21)],
    ['a length below its header', 'CORRUPT_MESSAGE', (b: Buffer) => b.writeInt32BE(48, 8)],
    ['a length beyond the bytes', 'CORRUPT_MESSAGE', (b: Buffer) => b.writeInt32BE(500, 8)],
    ['a negative count', 'CORRUPT_MESSAGE', (b: Buffer) => b.writeInt32BE(-1, 57)],
    ['a negative last offset', 'CORRUPT_MESSAGE', (b: Buffer) => b.writeInt32BE(-1, 23)],
    ['an unsafe timestamp', 'CORRUPT_MESSAGE', (b: Buffer) => b.writeInt32BE(2 ** 30, 27)],
  ])('refuses %s', (_, errorName, change) => {
    const batch = batchOf(['a'], 1234);
    change(batch);
    batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
    expectError(() => RecordBatchView.read(batch, 0), errorName, /base offset 1234 \(byte 0\)/);
  });

  test('refuses an unsafe or negative base offset, and fewer bytes than a header', () => {
    const batch = batchOf(['a']);
    batch.writeInt32BE(2 ** 22, 0);
    expectError(() => RecordBatchView.read(batch, 0), 'CORRUPT_MESSAGE', /no safe integers/);
    batch.writeInt32BE(-1, 0);
    expectError(() => RecordBatchView.read(batch, 0), 'CORRUPT_MESSAGE', /no safe integers/);
    const short = () => RecordBatchView.read(batch.subarray(0, 60), 0);
    expectError(short, 'CORRUPT_MESSAGE', /60 bytes are left/);
  });
});

describe('malformed records behind a right CRC', () => {
  test.each([
    ['no bytes at all', '', /claims a length of/],
    ['a negative length', '01', /claims a length of -1 bytes/],
    ['a length beyond the batch', '0e 00 00 00 01 01 00', /claims a length of 7 bytes/],
    ['a length that is too short', '0a 00 00 00 01 01 00', /does not end where|claims/],
    ['a length that never ends', 'ff ff ff ff ff ff ff', /claims a length/],
    ['a length of more than 32 bits', 'ff ff ff ff 1f 00 00 00 01 01 00', /claims a length/],
    ['a key beyond the record', '0c 00 00 00 7e 01 00', /claims a key of 63 bytes/],
    ['a key shorter than null', '0c 00 00 00 03 01 00', /claims a key of -2 bytes/],
    ['a value beyond the record', '0c 00 00 00 01 7e 00', /claims a value of 63 bytes/],
    ['a value shorter than null', '0c 00 00 00 01 03 00', /claims a value of -2 bytes/],
    ['a huge value', '14 00 00 00 01 fe ff ff ff 0f 00', /claims a value of 2147483647 bytes/],
    ['fewer than no headers', '0c 00 00 00 01 01 01', /claims -1 headers/],
    ['headers that are not there', '0c 00 00 00 01 01 7e', /header/],
    ['two billion headers', '14 00 00 00 01 01 fe ff ff ff 0f', /header/],
    ['a header name of null', '10 00 00 00 01 01 02 01 01', /a name of -1 bytes/],
    ['a header name beyond', '10 00 00 00 01 01 02 7e 01', /a name of 63 bytes/],
    ['a header value beyond', '10 00 00 00 01 01 02 00 7e', /a value of 63 bytes/],
    ['a header value below null', '10 00 00 00 01 01 02 00 03', /a value of -2 bytes/],
    ['bytes after its headers', '0e 00 00 00 01 01 00 00', /does not end where its length says/],
    ['an offset before the first', '0c 00 00 01 01 01 00', /offset delta -1, out of order/],
    ['an offset after the last', '0c 00 00 02 01 01 00', /offset delta 1, out of order/],
    ['a timestamp beyond 2^53', '1e 00 feffffffffffffffff01 00 01 01', /safe integer|claims/],
  ])('%s', (_, records, message) => {
    const batch = batchAround(hex(records));
    const { errorName, message: said } = protocolError(() => readAll(batch));
    expect(errorName).toBe('CORRUPT_MESSAGE');
    expect(said).toMatch(message);
    expect(said).toMatch(/^Record batch at base offset 40: record 0 of 1, at byte 0/);
  });

  test('records in the wrong order', () => {
    const batch = batchAround(hex('0c 00 00 02 01 01 00  0c 00 00 00 01 01 00'), {
      recordCount: 2,
    });
    expectError(() => readAll(batch), 'CORRUPT_MESSAGE', /record 1 of 2, at byte 7 .*delta 0/);
  });

  test('fewer records than claimed, and more', () => {
    const one = hex('0c 00 00 00 01 01 00');
    const fewer = batchAround(one, { recordCount: 2 });
    expectError(() => readAll(fewer), 'CORRUPT_MESSAGE', /record 1 of 2, at byte 7/);
    const more = batchAround(Buffer.concat([one, one]));
    expectError(() => readAll(more), 'CORRUPT_MESSAGE', /bytes after its last record/);
  });

  test('a record that reaches into the next batch', () => {
    const first = batchAround(hex('20 00 00 00 01 01 00'));
    const bytes = Buffer.concat([first, batchOf(['a'])]);
    const run = () => [...RecordBatchView.read(bytes, 0)];
    expectError(run, 'CORRUPT_MESSAGE', /claims a length of 16 bytes/);
  });
});

describe('readBatches', () => {
  const bytes = Buffer.concat([batchOf(['a'], 0), batchOf(['b', 'c'], 1), batchOf(['d'], 3)]);

  test('gives whole batches and leaves a partial one out', () => {
    const wholeAt = (length: number) => {
      return [...readBatches(bytes.subarray(0, length))].map((batch) => batch.baseOffset);
    };
    expect(wholeAt(bytes.length)).toEqual([0, 1, 3]);
    const first = batchOf(['a']).length;
    for (let length = 0; length < bytes.length; length++) {
      const expected = [0, 1].slice(0, length < first ? 0 : length < bytes.length - first ? 1 : 2);
      expect(wholeAt(length)).toEqual(expected);
    }
  });

  test('stops with an error at a damaged batch, after those before it', () => {
    const damaged = Buffer.from(bytes);
    const at = batchOf(['a']).length;
    damaged.writeUInt8(damaged.readUInt8(at + 30) ^ 4, at + 30);
    const seen: number[] = [];
    const run = () => {
      for (const batch of readBatches(damaged)) seen.push(batch.baseOffset);
    };
    expectError(run, 'CORRUPT_MESSAGE', new RegExp(`base offset 1 \\(byte ${at}\\)`));
    expect(seen).toEqual([0]);
  });

  test.each([0, 48, -1])('refuses batch length %p instead of looping', (length) => {
    const damaged = Buffer.from(bytes);
    damaged.writeInt32BE(length, 8);
    expectError(() => [...readBatches(damaged)], 'CORRUPT_MESSAGE', /claims a length of/);
  });
});
