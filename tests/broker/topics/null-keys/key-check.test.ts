import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { firstNullKey } from '@millrace/protocol';
import type { ByteChunks } from '@millrace/protocol';
import type { NullKeyFinder } from '../../../../broker/src/topics/null-keys/finder.js';
import { MAX_UNPACKED_BYTES } from '../../../../broker/src/topics/null-keys/key-check.js';
import { Partition } from '../../../../broker/src/topics/partition.js';
import { resolveTopicConfig } from '../../../../broker/src/topics/topic-config.js';
import { chunksOf, rejection } from '../../../support/batches.js';
import { seededRandom, testSeed } from '../../../support/seed.js';
import { createTopic, openTestStorage } from '../../../support/storage.js';
import type { TestStorage } from '../../../support/storage.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { logOf, readFrom } from '../../storage/compaction/compacted-topic.js';
import { asText, keyedBatch, records } from '../../storage/compaction/segment-files.js';
import type { KeyedBatch } from '../../storage/compaction/segment-files.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Answers when the test says so, in whatever order. */
class HeldFinder implements NullKeyFinder {
  readonly asked: { readonly maxUnpackedBytes: number; readonly answer: () => void }[] = [];

  async find(bytes: ByteChunks, maxUnpackedBytes: number): Promise<number | undefined> {
    await new Promise<void>((answer) => this.asked.push({ maxUnpackedBytes, answer }));
    return firstNullKey(bytes, maxUnpackedBytes);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let storage: TestStorage;
let finder: HeldFinder;
let partition: Partition;
let topics = 0;

beforeAll(async () => {
  dir = await makeTempDir();
  storage = await openTestStorage(dir.path, { config: { segmentBytes: 64 * MiB } });
});
afterAll(async () => {
  await storage.close();
  await dir.remove();
});
beforeEach(() => open('compact'));

async function open(policy: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const overrides = { 'cleanup.policy': policy, ...more };
  const made = await createTopic(storage, overrides, `t${(topics += 1)}`);
  finder = new HeldFinder();
  const environment = { ...storage.environment, nullKeys: finder };
  const config = resolveTopicConfig(overrides, storage.environment.config);
  partition = new Partition(made.topicName, made.topicId, 0, config, environment);
  partition.attach(logOf(made));
  await append('first=1');
}

const append = (text: string, batch: Partial<KeyedBatch> = {}): Promise<unknown> =>
  partition.append(chunksOf(keyedBatch({ records: records(text), ...batch })), 1);
const random = seededRandom(testSeed());
const noise = (bytes: number): string =>
  Array.from({ length: bytes }, () => String.fromCharCode(97 + random() * 26)).join('');
const text = async (): Promise<string> =>
  (await readFrom(partition, 0, MiB)).map((record) => asText(record).slice(0, 9)).join(' ');
const packed = { compression: 'gzip' } as const;

test('what is compressed and not small is looked through elsewhere, and no other', async () => {
  await append(`a=${noise(50_000)}`);
  await append('b=1 c=2', packed);
  expect(finder.asked).toHaveLength(0);
  const late = append(`d=${noise(20_000)}`, packed);
  // Small, but not what is in it.
  const bomb = append(`e=${'x'.repeat(200_000)}`, packed);
  expect(finder.asked).toHaveLength(2);
  for (const { answer } of finder.asked) answer();
  await Promise.all([late, bomb]);
  await open('delete');
  await append(`=${noise(20_000)}`, packed);
  expect(finder.asked).toHaveLength(0);
});

test('appends take effect in the order of the calls, whenever each is looked through', async () => {
  const large = noise(20_000);
  const work = [
    append(`a=${large}`, packed),
    append(`b=${large}`, packed),
    append(`=${large}`, packed),
    append('c=1'),
    append(`d=${large}`, packed),
    append('e=1'),
  ];
  const settled = Promise.allSettled(work);
  for (const { answer } of [...finder.asked].reverse()) answer();
  expect((await settled).map(({ status }) => status)).toEqual([
    ...['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
  ]);
  expect((await rejection(work[2] ?? Promise.resolve())).message).toMatch(/record 0 .*no key/);
  const starts = (await text()).split(' ').map((record) => record.slice(0, 3));
  expect(starts).toEqual(['0:f', '1:a', '2:b', '3:c', '4:d', '5:e']);
});

test('a batch that is refused before its turn comes moves nobody', async () => {
  const held = append(`a=${noise(20_000)}`, packed);
  const refused = rejection(append(`=${noise(20_000)}`, packed));
  finder.asked[1]?.answer();
  await new Promise((resolve) => setImmediate(resolve));
  finder.asked[0]?.answer();
  expect((await refused).errorName).toBe('INVALID_RECORD');
  await held;
  expect(partition.endOffset).toBe(2);
});

test('records may unpack to a bound, or to max.message.bytes if that is larger', async () => {
  const bytes = MAX_UNPACKED_BYTES + KiB;
  const batch = { records: [{ key: 'a', value: '\0'.repeat(bytes) }], ...packed };
  const refused = rejection(append('', batch));
  finder.asked[0]?.answer();
  expect((await refused).errorName).toBe('MESSAGE_TOO_LARGE');
  await open('compact', { 'max.message.bytes': String(bytes + KiB) });
  const taken = append('', batch);
  finder.asked[0]?.answer();
  await taken;
  expect(partition.endOffset).toBe(2);
});
