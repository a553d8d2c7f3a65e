import { spawnSync } from 'node:child_process';
import { deflateRawSync, gzipSync } from 'node:zlib';

import { RecordBatchBuilder, RecordBatchView } from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';

import { codecFor } from '../../../protocol/src/records/compression/codecs.js';
import { allCompressions, batchAround, expectError, protocolError, T0 } from './fixtures.js';

const MIB = 1024 * 1024;
const compressions = allCompressions.filter((name) => name !== 'none');
const codecIds = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
const noise = (bytes: number) => {
  const buffer = Buffer.alloc(bytes);
  for (let i = 0, state = 1; i < bytes; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    buffer[i] = state >>> 24;
  }
  return buffer;
};
const sources = {
  'one byte': Buffer.from('x'),
  'a block of zeroes': Buffer.alloc(64 * 1024),
  'a block and a byte': Buffer.alloc(64 * 1024 + 1, 'ab'),
  'a megabyte of text': Buffer.alloc(MIB, 'the quick brown fox jumps over the lazy dog. '),
  'what does not compress': noise(300_000),
};

/** Reads records that were compressed elsewhere, within a limit. */
const read = (codec: keyof typeof codecIds, payload: Buffer, maxDecompressedBytes = 2 * MIB) => {
  const batch = batchAround(payload, { attributes: codecIds[codec] });
  return [...RecordBatchView.read(batch, 0, { maxDecompressedBytes })];
};

describe.each(compressions)('%s', (name) => {
  const codec = codecFor(name);

  test.each(Object.entries(sources))('gives back %s', (_, source) => {
    const packed = codec.compress(source);
    expect(codec.decompress(packed, source.length).equals(source)).toBe(true);
    if (source.length < 100) return;
    const run = () => codec.decompress(packed, source.length - 1);
    expectError(run, 'MESSAGE_TOO_LARGE', /maxDecompressedBytes/);
  });

  test('stays within a small limit', () => {
    const packed = codec.compress(Buffer.alloc(20, 1));
    expect(codec.decompress(packed, 20)).toHaveLength(20);
    expect(protocolError(() => codec.decompress(packed, 19)).errorName).toBe('MESSAGE_TOO_LARGE');
  });

  test('refuses a bomb of 256 MiB without growing by it', () => {
    const packed = codec.compress(Buffer.alloc(256 * MIB));
    const before = process.memoryUsage().rss;
    const batch = batchAround(packed, { attributes: codecIds[name] });
    const view = RecordBatchView.read(batch, 0);
    expectError(
      () => view.cursor(),
      'MESSAGE_TOO_LARGE',
      /^Record batch at base offset 40 .*67108864/,
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(160 * MIB);
  });

  test('refuses data that is cut off anywhere, or is not its own', () => {
    const packed = codec.compress(Buffer.concat([sources['one byte'], noise(100)]));
    for (let length = 0; length < packed.length; length++) {
      const run = () => read(name, packed.subarray(0, length));
      expect(protocolError(run).errorName).toMatch(/CORRUPT_MESSAGE|MESSAGE_TOO_LARGE/);
    }
    for (let seed = 0; seed < 200; seed++) {
      const garbage = noise(200 + seed).subarray(seed);
      expect(protocolError(() => read(name, garbage)).errorName).toMatch(
        /CORRUPT_MESSAGE|MESSAGE_TOO_LARGE/,
      );
    }
  });

  test('keeps what it decompressed for the next cursor', () => {
    const builder = new RecordBatchBuilder({ compression: name });
    builder.append(null, 'value', null, T0);
    const view = RecordBatchView.read(builder.build(), 0);
    expect(view.cursor().bytes).toBe(view.cursor().bytes);
  });
});

describe('formats of others', () => {
  const le32 = (value: number) => {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32LE(value);
    return buffer;
  };
  const be32 = (value: number) => le32(value).swap32();
  const record = Buffer.from('0c000000010100', 'hex');

  test('snappy of one raw block, as other clients than Java write it', () => {
    const raw = Buffer.concat([Buffer.of(record.length, (record.length - 1) << 2), record]);
    expect(read('snappy', raw)).toHaveLength(1);
  });

  test('snappy that claims to be huge is refused before anything is allocated', () => {
    const raw = Buffer.from('ffffffff0f00', 'hex');
    expectError(() => read('snappy', raw), 'MESSAGE_TOO_LARGE', /expands to 4294967295 bytes/);
  });

  test('xerial blocks are summed before they are expanded', () => {
    const magic = Buffer.from('82534e415050590000000001', 'hex');
    const block = Buffer.concat([be32(5), Buffer.from('8080400000', 'hex')]);
    const framed = Buffer.concat([magic, be32(1), block, block, block]);
    expectError(() => read('snappy', framed), 'MESSAGE_TOO_LARGE', /3145728 bytes/);
    const version = Buffer.concat([magic, be32(2), block]);
    expectError(() => read('snappy', version), 'CORRUPT_MESSAGE', /framing version 2/);
    const beyond = Buffer.concat([magic, be32(1), be32(100), Buffer.alloc(20)]);
    expectError(() => read('snappy', beyond), 'CORRUPT_MESSAGE', /beyond the end/);
  });

  test('an lz4 content size that is too small does not hide what the blocks expand to', () => {
    const packed = codecFor('lz4').compress(Buffer.alloc(3 * MIB));
    const flags = Buffer.of(packed.readUInt8(4) | 0x08, packed.readUInt8(5));
    const size = Buffer.alloc(8);
    size.writeUInt32LE(10);
    const lying = Buffer.concat([packed.subarray(0, 4), flags, size, packed.subarray(6)]);
    expectError(() => read('lz4', lying), 'MESSAGE_TOO_LARGE', /expands to 3145728 bytes/);
  });

  test('zstd run-length blocks are counted, whatever content size the frame claims', () => {
    const magic = Buffer.from('28b52ffd', 'hex');
    const block = (last: number) => Buffer.from([...le32((131_072 << 3) | 2 | last)].slice(0, 3));
    const blocks = Array.from({ length: 40 }, (_, i) => [block(i === 39 ? 1 : 0), Buffer.of(0)]);
    const frame = Buffer.concat([magic, Buffer.of(0x80, 0x58), le32(100), ...blocks.flat()]);
    expectError(() => read('zstd', frame), 'MESSAGE_TOO_LARGE', /expands to 5242880 bytes/);
  });

  test('zstd that says its size is refused by that', () => {
    const frame = Buffer.from('28b52ffd e0 0000000004000000 010000'.replaceAll(' ', ''), 'hex');
    expectError(() => read('zstd', frame), 'MESSAGE_TOO_LARGE', /expands to 17179869184 bytes/);
  });

  test('gzip in several members', () => {
    const members = Buffer.concat([gzipSync(record.subarray(0, 3)), gzipSync(record.subarray(3))]);
    expect(read('gzip', members)).toHaveLength(1);
    expect(protocolError(() => read('gzip', deflateRawSync(record))).errorName).toBe(
      'CORRUPT_MESSAGE',
    );
  });
});

test('importing the package loads no compression library', () => {
  const script = `
    await import('@millrace/protocol');
    const loaded = process.report.getReport().sharedObjects;
    console.log(JSON.stringify(loaded.filter((path) => path.endsWith('.node'))));`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', script],
    { cwd: new URL('../../..', import.meta.url), encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  const loaded = JSON.parse(stdout) as string[];
  expect(loaded.filter((path) => !path.includes('crc32'))).toEqual([]);
  expect(loaded).toHaveLength(1);
});
