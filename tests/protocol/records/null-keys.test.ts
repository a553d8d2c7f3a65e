import { ByteChunks, firstNullKey, RecordBatchBuilder } from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';

import { allCompressions, batchAround, expectError, T0 } from './fixtures.js';

const MIB = 1_048_576;

function batchOf(
  keys: readonly (string | null)[],
  compression: (typeof allCompressions)[number] = 'none',
): Buffer {
  const builder = new RecordBatchBuilder({ compression });
  for (const key of keys) builder.append(key, 'value', null, T0);
  return builder.build();
}

describe('firstNullKey', () => {
  test.each(allCompressions)('finds the record: %s', (compression) => {
    const find = (...keys: (string | null)[]) =>
      firstNullKey(new ByteChunks([batchOf(keys, compression)]), MIB);
    expect(find('a', 'b', 'c')).toBeUndefined();
    expect(find('a', '', 'c')).toBeUndefined();
    expect(find(null)).toBe(0);
    expect(find('a', 'b', null, 'd', null)).toBe(2);
  });

  test.each(allCompressions)('finds it wherever the bytes are split: %s', (compression) => {
    const batch = batchOf(['a', null], compression);
    for (let at = 0; at <= batch.length; at += 1) {
      const chunks = new ByteChunks([batch.subarray(0, at), batch.subarray(at)]);
      expect(firstNullKey(chunks, MIB)).toBe(1);
    }
  });

  test('counts over several batches', () => {
    const bytes = new ByteChunks([batchOf(['a', 'b']), batchOf(['c', null], 'zstd')]);
    expect(firstNullKey(bytes, MIB)).toBe(3);
    expect(firstNullKey(ByteChunks.empty, MIB)).toBeUndefined();
  });

  test('refuses records that are damaged, or that expand too much', () => {
    const damaged = batchAround(Buffer.from('0c0000007e0100', 'hex'));
    const run = () => firstNullKey(new ByteChunks([damaged]), MIB);
    expectError(run, 'CORRUPT_MESSAGE', /base offset 40: record 0 of 1.* claims a key of 63/);
    const bomb = batchOf(['x'.repeat(10_000)], 'gzip');
    const expand = () => firstNullKey(new ByteChunks([bomb]), 9_999);
    expectError(expand, 'MESSAGE_TOO_LARGE', /beyond the limit of 9999 bytes/);
  });
});
