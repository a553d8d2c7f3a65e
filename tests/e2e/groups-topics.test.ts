import { describe, expect, test } from '@jest/globals';
import { OffsetOutOfRangeError } from '@millrace/client';
import { allOf, PARTITIONS, sorted, texts, useGroup } from './support/group-fixture.js';
import { until } from './support/reader.js';

const LOOK_OFTEN = { metadataMaxAgeMs: 100 };

const group = useGroup();

describe('topics that change', () => {
  test('a pattern picks up a new topic', async () => {
    const readers = [
      group().read({ topics: /^(t|new-.*)$/ }, LOOK_OFTEN),
      group().read({ topics: /^(t|new-.*)$/ }, LOOK_OFTEN),
    ];
    await until(() => readers.every(({ owned }) => owned.length === PARTITIONS / 2));
    await group().client.admin.createTopic({ name: 'new-1', partitions: PARTITIONS });
    await group().produce(0, 40, 'new-1');
    await until(() => readers.flatMap(({ values }) => values).length >= 40);
    expect(sorted(readers.flatMap(({ values }) => values))).toEqual(texts(0, 40));
    await until(() => readers.every(({ owned }) => owned.length === PARTITIONS));
  });

  test('added partitions come to the group, with what was sent to them before', async () => {
    const readers = [group().read({}, LOOK_OFTEN), group().read({}, LOOK_OFTEN)];
    await until(() => readers.every(({ owned }) => owned.length === PARTITIONS / 2));
    await group().client.admin.createPartitions('t', 2 * PARTITIONS);
    await group().produce(0, 80, 't', 2 * PARTITIONS);
    await until(() => readers.every(({ owned }) => owned.length === PARTITIONS));
    await until(() => readers.flatMap(({ values }) => values).length >= 80);
    expect(sorted(readers.flatMap(({ values }) => values))).toEqual(texts(0, 80));
  });

  test('a topic that is deleted goes from the group, which goes on with the others', async () => {
    await group().client.admin.createTopic({ name: 'u', partitions: PARTITIONS });
    // Its look at the topics is far off: that it reads them is how it notices, and tells.
    const reader = group().read({ topics: ['t', 'u'] });
    await until(() => reader.owned.length === 2 * PARTITIONS);
    await group().produce(0, 40, 'u');
    await until(() => reader.values.length === 40);
    await group().client.admin.deleteTopic('u');
    await until(() => reader.owned.join() === allOf('t').join());
    expect(reader.gone.sort()).toEqual(allOf('u'));
    await group().produce(40, 80);
    await until(() => reader.values.length === 80);
    expect(reader.failure).toBeUndefined();
    expect(reader.warnings).toContain('UNKNOWN_TOPIC_OR_PARTITION');
  });

  test('a topic that is made again is read from its beginning', async () => {
    const reader = group().read({}, LOOK_OFTEN);
    await until(() => reader.owned.length === PARTITIONS);
    await group().produce(0, 40);
    await until(async () => (await group().committed()).every((offset) => offset === 10));
    await group().client.admin.deleteTopic('t');
    await group().client.admin.createTopic({ name: 't', partitions: PARTITIONS });
    await group().produce(40, 60);
    await until(() => reader.values.length >= 60);
    expect(sorted(reader.values)).toEqual(texts(0, 60));
    expect(reader.failure).toBeUndefined();
    await until(async () => (await group().committed()).every((offset) => offset === 5));
  });
});

describe('records that are deleted before the group has read them', () => {
  const before = texts(0, PARTITIONS).map((partition) => ({
    ...{ topic: 't', partition: Number(partition), offset: 20 },
  }));

  async function commitFive(): Promise<void> {
    await group().produce(0, 160);
    await group().client.admin.resetOffsets('g', { topics: ['t'], to: { offset: 5 } });
    await group().client.admin.deleteRecords(before);
  }

  test('a group goes on at what is left, and is told', async () => {
    await commitFive();
    const reader = group().read({ from: 'end' });
    await until(() => reader.values.length === 80);
    expect(sorted(reader.values)).toEqual(texts(80, 160));
    expect(reader.warnings).toContain('OFFSET_OUT_OF_RANGE');
    await until(async () => (await group().committed()).every((offset) => offset === 40));
  });

  test('a group that is to fail names the offset', async () => {
    await commitFive();
    const reader = group().read({ onOutOfRange: 'fail' });
    await reader.ended;
    expect(reader.failure).toBeInstanceOf(OffsetOutOfRangeError);
    expect(reader.failure).toMatchObject({ topic: 't', offset: 5, beginningOffset: 20 });
  });

  test('a group that is reading goes on, and its commits too', async () => {
    await group().produce(0, 40);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const reader = group().read({ maxBytes: 1, prefetchBytes: 1 }, {}, () => held);
    await until(() => reader.owned.length === PARTITIONS);
    await group().produce(40, 160);
    await group().client.admin.deleteRecords(before);
    release();
    await group().drained();
    expect(sorted(reader.values).slice(-80)).toEqual(texts(80, 160));
    expect(new Set(reader.values).size).toBe(reader.values.length);
  });
});
