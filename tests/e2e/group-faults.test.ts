import { describe, expect, test } from '@jest/globals';
import { FencedInstanceError, MaxPollIntervalExceededError } from '@millrace/client';
import {
  allOf,
  PARTITIONS,
  SHORT_SESSION_MS,
  sorted,
  texts,
  useGroup,
} from './support/group-fixture.js';
import { until } from './support/reader.js';

const group = useGroup();

describe('a broker that is killed and started again', () => {
  test('while a group reads costs no rebalance, no acknowledged message and no commit', async () => {
    const readers = [group().read(), group().read()];
    await until(() => readers.every(({ owned }) => owned.length === PARTITIONS / 2));
    await group().produce(0, 400);
    const rebalances = readers.map((reader) => reader.rebalances);
    const values = (): string[] => readers.flatMap((reader) => reader.values);
    for (let round = 1; round <= 3; round += 1) {
      const flowing = group().produce(round * 400, (round + 1) * 400);
      await until(() => values().length >= round * 400);
      const before = await group().committed();
      await group().restartBroker();
      const after = await group().committed();
      for (const [partition, offset] of before.entries()) {
        expect(after[partition] ?? 0).toBeGreaterThanOrEqual(offset ?? 0);
      }
      await flowing;
    }
    await until(() => new Set(values()).size === 1_600);
    // Nobody died, so nothing comes twice, however often the fetches had to be repeated.
    expect(sorted(values())).toEqual(texts(0, 1_600));
    expect(readers.map((reader) => reader.rebalances)).toEqual(rebalances);
    await Promise.all(readers.map(({ consumer }) => consumer.close()));
    const ends = await group().client.admin.groupOffsets('g');
    expect(ends.map(({ lag }) => lag)).toEqual(Array.from(ends, () => 0));
  });

  test('while members join, leave and commit leaves a group that works', async () => {
    const readers = [group().read()];
    for (let round = 0; round < 3; round += 1) {
      readers.push(group().read(), group().read());
      await group().produce(round * 100, (round + 1) * 100);
      await group().restartBroker();
      const [first] = readers.splice(0, 1);
      await first?.consumer.close();
    }
    await until(
      () =>
        readers
          .flatMap(({ owned }) => owned)
          .sort()
          .join() === allOf('t').join(),
    );
    await group().produce(300, 400);
    await group().drained();
    expect(readers.map(({ failure }) => failure)).toEqual(readers.map(() => undefined));
    await group().stable(readers.length);
  });
});

describe('a handler', () => {
  test('that keeps its thread busy for longer than the session costs no rebalance', async () => {
    const child = await group().fork({ sessionTimeoutMs: SHORT_SESSION_MS });
    const other = group().read();
    await until(() => other.owned.length === PARTITIONS / 2);
    await group().stable(2);
    const { generation } = await group().client.admin.describeGroup('g');
    child.block(3 * SHORT_SESSION_MS);
    await child.until('it is free again', ({ type }) => type === 'unblocked');
    const after = await group().client.admin.describeGroup('g');
    expect(after).toMatchObject({ generation, state: 'Stable' });
    expect(child.told.filter(({ type }) => type === 'lost')).toEqual([]);
  });

  test('that takes longer than maxPollIntervalMs is told by name, and others take over', async () => {
    await group().produce(0, 40);
    let release = (): void => undefined;
    const stuck = new Promise<void>((resolve) => (release = resolve));
    const slow = group().read({ maxPollIntervalMs: 300, autoCommit: false }, {}, () => stuck);
    const other = group().read();
    await until(() => other.owned.join() === allOf('t').join());
    await until(() => other.values.length === 40);
    // What it had in hand was not committed, and so came again.
    expect(sorted(other.values)).toEqual(texts(0, 40));
    release();
    await slow.ended;
    expect(slow.failure).toBeInstanceOf(MaxPollIntervalExceededError);
    expect(slow.failure).toMatchObject({ group: 'g', maxPollIntervalMs: 300 });
    expect(slow.values).toHaveLength(1);
    expect(other.failure).toBeUndefined();
  });
});

describe('members with one groupInstanceId', () => {
  test('the older is fenced by name, and the newer goes on with its partitions', async () => {
    const older = group().read({ groupInstanceId: 'one' });
    await until(() => older.owned.length === PARTITIONS);
    await group().produce(0, 40);
    await group().drained();
    const newer = group().read({ groupInstanceId: 'one' });
    await older.ended;
    expect(older.failure).toBeInstanceOf(FencedInstanceError);
    expect(older.failure).toMatchObject({ group: 'g', groupInstanceId: 'one' });
    await until(() => newer.owned.length === PARTITIONS);
    await group().produce(40, 80);
    await until(() => newer.values.length === 40);
    expect(sorted(newer.values)).toEqual(texts(40, 80));
    expect(newer.failure).toBeUndefined();
  });

  test('one that is closed and comes back within its session costs no rebalance', async () => {
    const other = group().read();
    const before = group().read({ groupInstanceId: 'one' });
    await until(() => other.owned.length === 2 && before.owned.length === 2);
    await group().stable(2);
    const { rebalances } = other;
    const { owned } = before;
    await before.consumer.close();
    const after = group().read({ groupInstanceId: 'one' });
    await until(() => after.owned.join() === owned.join());
    expect(other.rebalances).toBe(rebalances);
  });
});

describe('a member that goes', () => {
  test('by SIGKILL loses its partitions when its session ends', async () => {
    const other = group().read();
    await until(() => other.owned.length === PARTITIONS);
    const child = await group().fork({ sessionTimeoutMs: SHORT_SESSION_MS });
    await child.until('it is assigned some', ({ type }) => type === 'assigned');
    await child.kill();
    await until(() => other.owned.length === PARTITIONS);
    // On a busy machine it may have lost a session before, and come back as another member.
    const assigned = child.told.findLast(({ type }) => type === 'assigned');
    const ends = group()
      .broker.log.split('\n')
      .filter((text) => text.includes('its session timed out'));
    expect(ends.at(-1)).toContain(assigned?.memberId);
  });

  test('by close() hands over at once, and what it handled does not come again', async () => {
    await group().produce(0, 400);
    const first = group().read();
    await until(() => first.values.length === 400);
    const second = group().read();
    await until(() => second.owned.length === PARTITIONS / 2);
    // A session would outlast this test.
    await first.consumer.close();
    await until(() => second.owned.length === PARTITIONS);
    await group().produce(400, 440);
    await until(() => second.values.length >= 40);
    expect(sorted(second.values)).toEqual(texts(400, 440));
  });

  test('by close() of its client while the broker is away is done in bounded time', async () => {
    const reader = group().read({ autoCommitIntervalMs: 600_000 }, { closeTimeoutMs: 300 });
    await group().produce(0, 40);
    await until(() => reader.values.length === 40);
    await group().broker.kill();
    await reader.client.close();
    await reader.ended;
    expect(reader.failure).toBeUndefined();
    await until(() => reader.warnings.length > 0);
  });
});
