import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { RecordBatchBuilder } from '@millrace/protocol';
import { defaultStorageConfig } from '../../../broker/src/storage/storage-config.js';
import {
  describeTopicConfig,
  resolveTopicConfig,
} from '../../../broker/src/topics/topic-config.js';
import {
  chunksOf,
  drain,
  makeBatch,
  readAll,
  recordsIn,
  rejection,
  T0,
} from '../../support/batches.js';
import { crashCopy, createTopic, openTestStorage, partitionOf } from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

describe('the config of a topic', () => {
  test.each([
    ['segment.ms', '1', 1],
    ['retention.ms', '-1', -1],
    ['retention.ms', '0', 0],
    ['retention.bytes', '9007199254740991', Number.MAX_SAFE_INTEGER],
    ['cleanup.policy', 'compact', 'compact'],
    ['cleanup.policy', 'delete, compact', 'compact,delete'],
    ['min.cleanable.dirty.ratio', '0.25', 0.25],
    ['min.cleanable.dirty.ratio', '1', 1],
    ['message.timestamp.type', 'LogAppendTime', 'LogAppendTime'],
    ['delete.retention.ms', '0', 0],
    ['min.compaction.lag.ms', '5', 5],
    ['max.compaction.lag.ms', '-1', -1],
    ['max.compaction.lag.ms', '77', 77],
  ])('%s takes %s', (key, text, value) => {
    const config = resolveTopicConfig({ [key]: text }, defaultStorageConfig);
    expect(Object.values(config)).toContain(value);
    const entries = describeTopicConfig(
      config,
      { [key]: text },
      defaultStorageConfig,
      defaultStorageConfig,
    );
    expect(entries).toContainEqual({ key, value: String(value), source: 'topic' });
  });

  test.each([
    ['segment.ms', '0', 'a whole number of ms from 1 to 9007199254740991'],
    ['retention.ms', '-2', 'from 0 to 9007199254740991, or -1 (for ever)'],
    ['retention.bytes', '1e3', 'a whole number of bytes from 0 to'],
    ['cleanup.policy', 'none', 'one of "delete", "compact", "compact,delete"'],
    ['cleanup.policy', 'constructor', 'one of'],
    ['min.cleanable.dirty.ratio', '1.1', 'a number from 0 to 1'],
    ['min.cleanable.dirty.ratio', '-0.1', 'a number from 0 to 1'],
    ['min.cleanable.dirty.ratio', '', 'a number from 0 to 1'],
    ['message.timestamp.type', 'createtime', 'one of "CreateTime", "LogAppendTime"'],
    ['hours', '1', 'unknown topic config "hours"; known are segment.bytes'],
    ['retentionMs', '1', 'unknown topic config "retentionMs"; did you mean retention.ms?'],
  ])('%s refuses %s and says what it takes', (key, text, message) => {
    expect(() => resolveTopicConfig({ [key]: text }, defaultStorageConfig)).toThrow(
      expect.objectContaining({
        errorName: 'INVALID_CONFIG',
        message: expect.stringContaining(message) as unknown,
      }),
    );
  });
});

describe('a topic that is changed', () => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  let storage: TestStorage;

  const open = async (): Promise<void> => {
    storage = await openTestStorage(dir.path, { config: { maxPartitions: 10 } });
  };
  const crash = async (): Promise<void> => {
    const copy = await crashCopy(dir.path);
    await storage.close();
    await dir.remove();
    dir = copy;
    await open();
  };
  const value = (key: string, name = 't'): unknown =>
    storage.topics
      .byName(name)
      ?.describeConfig()
      .find((entry) => entry.key === key);

  beforeEach(async () => {
    dir = await makeTempDir();
    await open();
    await createTopic(storage, { 'retention.ms': '1000' }, 't', 2);
  });

  afterEach(async () => {
    await storage.close();
    await dir.remove();
  });

  test('a config that is altered is durable, and null goes back to the default', async () => {
    await storage.topics.alterConfig('t', [
      { key: 'retention.ms', value: null },
      { key: 'segment.bytes', value: '8192' },
    ]);
    for (const round of [0, 1]) {
      if (round === 1) await crash();
      expect(value('retention.ms')).toMatchObject({ value: '604800000', source: 'default' });
      expect(value('segment.bytes')).toMatchObject({ value: '8192', source: 'topic' });
      expect(partitionOf(storage).log?.options.segmentBytes ?? 8192).toBe(8192);
      // A batch must fit in a segment.
      expect(value('max.message.bytes')).toMatchObject({ value: '8192' });
    }
    const { errorName } = await rejection(
      partitionOf(storage).append(chunksOf(makeBatch({ valueBytes: 9000 })), 1),
    );
    expect(errorName).toBe('MESSAGE_TOO_LARGE');
  });

  test.each<[string, readonly (readonly [string, string | null])[], string]>([
    ['an unknown key', [['nope', '1']], 'unknown topic config "nope"'],
    ['an unknown key to be unset', [['nope', null]], 'unknown topic config "nope"'],
    [
      'a value out of range',
      [
        ['retention.ms', '5'],
        ['segment.ms', '0'],
      ],
      'segment.ms must be',
    ],
    [
      'a key twice',
      [
        ['segment.ms', '5'],
        ['segment.ms', '6'],
      ],
      'segment.ms is changed twice',
    ],
    [
      'values that contradict each other',
      [
        ['segment.bytes', '4096'],
        ['max.message.bytes', '8192'],
      ],
      'larger than segment.bytes (4096)',
    ],
  ])('%s is refused, and nothing changes', async (_name, changes, message) => {
    const work = storage.topics.alterConfig(
      't',
      changes.map(([key, to]) => ({ key, value: to })),
    );
    const error = await rejection(work);
    expect(error.errorName).toBe('INVALID_CONFIG');
    expect(error.message).toContain(message);
    expect(value('retention.ms')).toMatchObject({ value: '1000' });
  });

  test('validateOnly only says whether it could be done', async () => {
    await storage.topics.alterConfig('t', [{ key: 'retention.ms', value: '7' }], true);
    expect(value('retention.ms')).toMatchObject({ value: '1000' });
    const bad = storage.topics.alterConfig('t', [{ key: 'retention.ms', value: 'x' }], true);
    expect((await rejection(bad)).errorName).toBe('INVALID_CONFIG');
  });

  test('changes of one topic are made one after another', async () => {
    const set = (text: string): Promise<unknown> =>
      storage.topics.alterConfig('t', [{ key: 'retention.ms', value: text }]);
    const added = storage.topics.addPartitions('t', 3);
    await Promise.all([set('1'), added, set('2'), set('3')]);
    await crash();
    expect(value('retention.ms')).toMatchObject({ value: '3' });
    expect(storage.topics.byName('t')?.partitions).toHaveLength(3);
    const deleted = storage.topics.delete('t');
    expect((await rejection(set('4'))).errorName).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    await deleted;
  });

  test('partitions are added behind those that there are, which stay', async () => {
    const first = partitionOf(storage);
    await first.append(chunksOf(makeBatch({ tag: 'a' })), -1);
    const topic = storage.topics.byName('t');
    await storage.topics.addPartitions('t', 5);
    expect(storage.topics.byName('t')).toBe(topic);
    expect(topic?.partitions.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
    expect(partitionOf(storage)).toBe(first);
    await partitionOf(storage, 't', 4).append(chunksOf(makeBatch({ tag: 'b' })), -1);
    await crash();
    expect(storage.topics.partitionCount).toBe(5);
    expect((await readAll(partitionOf(storage)))[0]?.value).toMatch(/^a/);
    expect((await readAll(partitionOf(storage, 't', 4)))[0]?.value).toMatch(/^b/);
  });

  test.each([
    [1, 'INVALID_PARTITIONS', /has 2 partitions, and 1 were asked for.*only grow/],
    [2, 'INVALID_PARTITIONS', /has 2 partitions, and 2 were asked for/],
    [2.5, 'INVALID_PARTITIONS', /from 1 to 10/],
    [11, 'INVALID_PARTITIONS', /from 1 to 10/],
    [9, 'LIMIT_EXCEEDED', /7 more partitions would exceed.*maxPartitions of 10/],
  ])('%s partitions are refused', async (total, name, message) => {
    await createTopic(storage, {}, 'u', 2);
    const error = await rejection(storage.topics.addPartitions('t', total));
    expect(error.errorName).toBe(name);
    expect(error.message).toMatch(message);
    expect(storage.topics.byName('t')?.partitions).toHaveLength(2);
  });

  test('limits count what is being made; topics of the broker itself are made in any case', async () => {
    const both = [storage.topics.addPartitions('t', 7), createTopic(storage, {}, 'u', 4)];
    const outcomes = await Promise.allSettled(both);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    const spec = { name: '__own', partitions: 9, config: {} };
    expect((await rejection(storage.topics.create(spec))).errorName).toBe('LIMIT_EXCEEDED');
    await storage.topics.create(spec, { internal: true });
    expect(storage.topics.byName('__own')?.partitions).toHaveLength(9);
  });

  test('a write that fails changes nothing', async () => {
    const path = join(dir.path, 'topics', storage.topics.byName('t')?.id ?? '');
    await rm(join(path, 'topic.json.tmp'), { force: true });
    // A directory where the new file is to be made: the write cannot even begin.
    await mkdir(join(path, 'topic.json.tmp'));
    const alter = storage.topics.alterConfig('t', [{ key: 'retention.ms', value: '7' }]);
    expect((await rejection(alter)).errorName).toBe('STORAGE_ERROR');
    const add = storage.topics.addPartitions('t', 3);
    expect((await rejection(add)).errorName).toBe('STORAGE_ERROR');
    expect(value('retention.ms')).toMatchObject({ value: '1000' });
    expect(storage.topics.partitionCount).toBe(2);
    await rm(join(path, 'topic.json.tmp'), { recursive: true });
    await storage.topics.addPartitions('t', 3);
  });

  test('who listens is told of a deleted topic, when nobody finds it any more', async () => {
    const told: string[] = [];
    const stop = storage.topics.onDeleted((id) => {
      expect(storage.topics.byId(id)).toBeUndefined();
      told.push(id);
    });
    const id = storage.topics.byName('t')?.id;
    await storage.topics.delete('t');
    expect(told).toEqual([id]);
    stop();
    await createTopic(storage);
    await storage.topics.delete('t');
    expect(told).toHaveLength(1);
  });

  test('by append time the broker sets the time of every record', async () => {
    const change = { key: 'message.timestamp.type', value: 'LogAppendTime' };
    const partition = partitionOf(storage);
    await partition.append(chunksOf(makeBatch({ timestampMs: T0 - 5 })), -1);
    await storage.topics.alterConfig('t', [change]);
    storage.clock.nowMs = T0 + 77;
    // Whatever the producer's clock says.
    const batch = makeBatch({ records: 3, timestampMs: T0 + 10 ** 12 });
    const { logAppendTimeMs } = await partition.append(chunksOf(batch), -1);
    expect(logAppendTimeMs).toBe(T0 + 77);
    const region = await partition.read(1, 10_000, true);
    const records = region === undefined ? [] : recordsIn(drain(region));
    expect(records.map(({ timestampMs }) => timestampMs)).toEqual([T0 + 77, T0 + 77, T0 + 77]);
    for (const round of [0, 1]) {
      if (round === 1) await crash();
      const reopened = partitionOf(storage);
      expect(await reopened.offsetForTimestamp(T0)).toEqual({ offset: 1, timestampMs: T0 + 77 });
      expect(await reopened.offsetForTimestamp(T0 + 78)).toBeUndefined();
    }
  });

  test('a compacted topic refuses a record without a key, and names it', async () => {
    await storage.topics.alterConfig('t', [{ key: 'cleanup.policy', value: 'delete,compact' }]);
    const builder = new RecordBatchBuilder({});
    builder.append('k', 'v', null, T0);
    builder.append(null, 'v', null, T0);
    const batch = builder.build({ producerId: -1, producerEpoch: -1, baseSequence: -1 });
    const error = await rejection(partitionOf(storage).append(chunksOf(Buffer.from(batch)), 1));
    expect(error.errorName).toBe('INVALID_RECORD');
    expect(error.message).toMatch(/t-0: record 1 of the batch has no key/);
    expect(partitionOf(storage).endOffset).toBe(0);
  });

  test('partitions without a directory, as a crash amid adding leaves them, are new ones', async () => {
    await storage.topics.addPartitions('t', 4);
    const path = join(dir.path, 'topics', storage.topics.byName('t')?.id ?? '');
    expect((await readdir(path)).sort()).toEqual(['topic.json', 'topic.json.copy']);
    await writeFile(join(path, 'topic.json.tmp'), 'half');
    await crash();
    const partition = partitionOf(storage, 't', 3);
    expect((await partition.append(chunksOf(makeBatch()), -1)).baseOffset).toBe(0);
  });
});
