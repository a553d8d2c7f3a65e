import { expect, test } from '@jest/globals';
import { FaultyPersistence, systemError } from '../../support/faulty-persistence.js';
import { seededRandom, testSeed } from '../../support/seed.js';
import { idOf, load, offsetsIn, offsetsStorage, rowOf, storeOn } from './support/offsets.js';

const GROUPS = ['a', 'b', 'c'];
const PARTITIONS = 3;
const TOPIC = 1;
const CHANGES = 600;
/** Changes after which all are waited for, and what they made is looked at. */
const AT_A_TIME = 12;

/** What is to be seen of a group: the offset of each partition. */
type Offsets = ReadonlyMap<number, number>;

/** A change, and what it makes of the offsets of its group. */
interface Change {
  readonly groupId: string;
  readonly done: Promise<void>;
  readonly apply: (before: Offsets) => Offsets;
}

test('changes of a group are seen in the order of the calls, failed ones not at all', async () => {
  const random = seededRandom(testSeed());
  const pick = (below: number): number => Math.floor(random() * below);
  let faults: FaultyPersistence | undefined;
  const { storage } = await offsetsStorage({
    wrap: (inner) => (faults = new FaultyPersistence(inner)),
  });
  const store = storeOn(storage, { maxRecordsPerBatch: 4 });
  await store.commit('first', [rowOf(9, 0, 0)]);

  const change = (n: number): Change => {
    const groupId = GROUPS[pick(GROUPS.length)] ?? '';
    const partition = pick(PARTITIONS);
    const kind = pick(4);
    if (kind === 0) {
      const done = store.deleteGroup(groupId);
      return { groupId, done, apply: () => new Map() };
    }
    if (kind === 1) {
      const done = store.deleteOffsets(groupId, [{ topicId: idOf(TOPIC), partition }]);
      return { groupId, done, apply: (all) => new Map([...all].filter(([p]) => p !== partition)) };
    }
    const done = store.commit(groupId, [rowOf(TOPIC, partition, n)]);
    return { groupId, done, apply: (all) => new Map(all).set(partition, n) };
  };

  const expected = new Map<string, Offsets>(GROUPS.map((groupId) => [groupId, new Map()]));
  const seen = (groupId: string): Offsets =>
    new Map(store.allCommitted(groupId).map(({ partition, offset }) => [partition, offset]));
  const outcomes: Promise<void>[] = [];
  let failed = 0;
  let answered = -1;
  for (let n = 0; n < CHANGES; n += 1) {
    const { apply, done, groupId } = change(n);
    const settle = (stored: boolean): void => {
      // Answers come in the order of the calls, too.
      expect(n).toBeGreaterThan(answered);
      answered = n;
      if (!stored) failed += 1;
      else expected.set(groupId, apply(expected.get(groupId) ?? new Map<number, number>()));
    };
    outcomes.push(
      done.then(
        () => settle(true),
        (error: unknown) => {
          expect(error).toMatchObject({ errorName: 'DISK_FULL' });
          settle(false);
        },
      ),
    );
    if (random() < 0.05) faults?.appendFaults.push(systemError('ENOSPC'));
    if (random() < 0.1) await new Promise((resolve) => setImmediate(resolve));
    if (n % AT_A_TIME !== AT_A_TIME - 1) continue;
    await Promise.all(outcomes.splice(0));
    for (const groupId of GROUPS) expect(seen(groupId)).toEqual(expected.get(groupId));
  }
  expect(failed).toBeGreaterThan(0);
  const lines = [...expected].flatMap(([groupId, offsets]) =>
    [...offsets].map(([partition, offset]) => `${groupId} ${TOPIC}-${partition}=${offset}`),
  );
  expect(offsetsIn(await load(storage))).toEqual([...lines, 'first 9-0=0'].sort());
});

test('who watches hears at once which groups have offsets', async () => {
  const { storage } = await offsetsStorage();
  const store = storeOn(storage);
  const heard: string[] = [];
  store.watchGroups({
    appeared: (groupId) => {
      heard.push(`+${groupId}${store.hasOffsets(groupId) ? '' : '?'}`);
    },
    disappeared: (groupId) => {
      heard.push(`-${groupId}${store.hasOffsets(groupId) ? '?' : ''}`);
    },
  });
  await store.commit('a', [rowOf(1, 0, 1), rowOf(2, 0, 1)]);
  await store.commit('a', [rowOf(1, 0, 2)]);
  await store.commit('b', [rowOf(1, 0, 1)]);
  void store.forgetTopic(idOf(1));
  expect(heard).toEqual(['+a', '+b', '-b']);
  await store.deleteGroup('a');
  await store.deleteOffsets('a', [{ topicId: idOf(2), partition: 0 }]);
  await store.commit('b', [rowOf(2, 0, 1)]);
  expect(heard).toEqual(['+a', '+b', '-b', '-a', '+b']);
});
