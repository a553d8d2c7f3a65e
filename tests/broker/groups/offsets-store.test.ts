import { describe, expect, test } from '@jest/globals';
import { ProtocolError } from '@millrace/protocol';
import { OffsetTable } from '../../../broker/src/groups/offsets-table.js';
import { OffsetsTopic } from '../../../broker/src/groups/offsets-topic.js';
import { rejection } from '../../support/batches.js';
import { FaultyPersistence, systemError } from '../../support/faulty-persistence.js';
import { crashCopy, silentLogger } from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { afterTest } from '../support/temporary.js';
import {
  batchesIn,
  groupOf,
  idOf,
  load,
  offsetsIn,
  offsetsStorage,
  rowOf,
  storeOn,
} from './support/offsets.js';

/** A storage whose `__offsets` is there, and whose syncs and appends can be held up and broken. */
async function faultyStorage(): Promise<{ storage: TestStorage; faults: FaultyPersistence }> {
  let faults: FaultyPersistence | undefined;
  const { storage } = await offsetsStorage({
    wrap: (inner) => (faults = new FaultyPersistence(inner)),
  });
  if (faults === undefined) throw new Error('nothing was wrapped');
  await storeOn(storage).commit('first', [rowOf(9, 0, 0)]);
  return { storage, faults };
}

describe('commits', () => {
  test('of one turn of the event loop share a batch and a sync', async () => {
    const { storage, faults } = await faultyStorage();
    const store = storeOn(storage);
    const before = faults.syncs;
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => store.commit(`g${n}`, [rowOf(1, n, n), rowOf(2, n, n)])),
    );
    const batches = await batchesIn(storage);
    expect(batches.map(({ recordCount }) => recordCount)).toEqual([1, 100]);
    expect(faults.syncs).toBe(before + 1);
  });

  test('that come during an append share the next batch, and show when they are durable', async () => {
    const { storage, faults } = await faultyStorage();
    const store = storeOn(storage);
    faults.holdSyncs();
    const done: number[] = [];
    const commit = async (offset: number): Promise<void> => {
      await store.commit('g', [rowOf(1, 0, offset)]);
      expect(store.committed('g', idOf(1), 0)?.offset).toBe(offset);
      done.push(offset);
    };
    const first = commit(1);
    await faults.syncHeld();
    const others = [commit(2), store.commit('other', [rowOf(1, 0, 7)])];
    expect(store.committed('g', idOf(1), 0)).toBeUndefined();
    expect(store.hasOffsets('g')).toBe(false);
    faults.letSyncsGo();
    await Promise.all([first, ...others]);
    expect(done).toEqual([1, 2]);
    const batches = await batchesIn(storage);
    expect(batches.map(({ recordCount }) => recordCount)).toEqual([1, 1, 2]);
  });

  test('of one partition take effect in their order, whatever the batches', async () => {
    const { storage } = await faultyStorage();
    const store = storeOn(storage, { maxRecordsPerBatch: 3 });
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => store.commit('g', [rowOf(1, 0, n), rowOf(1, 1, n)])),
    );
    expect(store.allCommitted('g').map(({ offset }) => offset)).toEqual([19, 19]);
    // A commit is never torn apart when a batch can hold it.
    expect((await batchesIn(storage)).slice(1).every(({ recordCount }) => recordCount === 2)).toBe(
      true,
    );
    expect(offsetsIn(await load(storage))).toEqual(['first 9-0=0', 'g 1-0=19', 'g 1-1=19']);
  });

  test('larger than a batch are stored in several', async () => {
    const { storage } = await faultyStorage();
    const store = storeOn(storage, { maxRecordsPerBatch: 3 });
    await store.commit(
      'g',
      Array.from({ length: 8 }, (_, n) => rowOf(1, n, n)),
    );
    const batches = await batchesIn(storage);
    expect(batches.map(({ recordCount }) => recordCount)).toEqual([1, 3, 3, 2]);
    expect(store.allCommitted('g')).toHaveLength(8);
  });

  test('are on the disk when they are acknowledged', async () => {
    const { storage, path } = await offsetsStorage();
    const store = storeOn(storage);
    await store.commit('g', [rowOf(1, 0, 42), { ...rowOf(1, 1, 43), metadata: 'said' }]);
    await store.storeGroup(groupOf('g', 2));
    const copy = await crashCopy(path);
    afterTest(copy.remove);
    const { storage: restarted } = await offsetsStorage({ path: copy.path });
    const loaded = await load(restarted);
    expect(offsetsIn(loaded)).toEqual(['g 1-0=42', 'g 1-1=43']);
    expect(loaded.table.get('g', idOf(1), 1)).toMatchObject({ metadata: 'said' });
    expect(loaded.groups.get('g')).toEqual(groupOf('g', 2));
  });
});

describe('an append that fails', () => {
  test('fails those whose records were in it, and nobody else', async () => {
    const { storage, faults } = await faultyStorage();
    const store = storeOn(storage, { maxRecordsPerBatch: 2 });
    faults.appendFaults.push(undefined, systemError('ENOSPC'), undefined);
    const writes = [0, 1, 2].map((n) => store.commit(`g${n}`, [rowOf(1, 0, n), rowOf(1, 1, n)]));
    const failed = rejection(writes[1] ?? Promise.resolve());
    await Promise.all([writes[0], writes[2]]);
    expect((await failed).errorName).toBe('DISK_FULL');
    expect([...store.groupIds()].sort()).toEqual(['g0', 'g2']);
    expect([...(await load(storage)).table.groupIds()].sort()).toEqual(['first', 'g0', 'g2']);
    await store.commit('g1', [rowOf(1, 0, 5)]);
    expect(store.committed('g1', idOf(1), 0)?.offset).toBe(5);
  });

  test('for good takes the partition offline: nothing is acknowledged any more', async () => {
    const { storage, faults } = await faultyStorage();
    const store = storeOn(storage);
    faults.syncFaults.push(systemError('EIO'));
    expect((await rejection(store.commit('g', [rowOf(1, 0, 1)]))).errorName).toBe(
      'PARTITION_OFFLINE',
    );
    expect((await rejection(store.commit('g', [rowOf(1, 0, 2)]))).errorName).toBe(
      'PARTITION_OFFLINE',
    );
    expect(store.hasOffsets('g')).toBe(false);
  });

  test('because the topic cannot be made is told to all, and the next one tries again', async () => {
    const { storage } = await offsetsStorage();
    const topic = new OffsetsTopic(storage.topics, silentLogger);
    let fails = true;
    const open = (): ReturnType<OffsetsTopic['open']> =>
      fails ? Promise.reject(new ProtocolError('DISK_FULL')) : topic.open();
    const store = storeOn(storage, { topic: { open } });
    const both = [store.commit('a', [rowOf(1, 0, 1)]), store.storeGroup(groupOf('b'))];
    const failures = await Promise.all(both.map(rejection));
    expect(failures.map(({ errorName }) => errorName)).toEqual(['DISK_FULL', 'DISK_FULL']);
    fails = false;
    await store.commit('a', [rowOf(1, 0, 1)]);
    expect(store.committed('a', idOf(1), 0)?.offset).toBe(1);
  });
});

test('a group that no record can hold is refused, and the commits beside it are not', async () => {
  const { storage } = await faultyStorage();
  const store = storeOn(storage);
  const MiB = 2 ** 20;
  const refused = rejection(store.storeGroup(groupOf('huge', 17, MiB)));
  await store.commit('g', [rowOf(1, 0, 1)]);
  const { errorName, message } = await refused;
  expect(errorName).toBe('MESSAGE_TOO_LARGE');
  expect(message).toContain('group huge: a record of');
  await store.storeGroup(groupOf('large', 15, MiB));
  expect([...(await load(storage)).groups.keys()]).toEqual(['large']);
});

test('what waits to be stored is bounded', async () => {
  const { storage, faults } = await faultyStorage();
  const store = storeOn(storage);
  faults.holdSyncs();
  const MiB = 2 ** 20;
  const first = store.commit('g', [rowOf(1, 0, 1)]);
  await faults.syncHeld();
  const stored = Array.from({ length: 5 }, () => store.storeGroup(groupOf('large', 12, MiB)));
  const refused = await rejection(store.storeGroup(groupOf('large', 12, MiB)));
  expect(refused.errorName).toBe('OVERLOADED');
  expect(refused.retriable).toBe(true);
  faults.letSyncsGo();
  await Promise.all([first, ...stored]);
  await store.storeGroup(groupOf('large', 12, MiB));
});

test('first commits that race make one topic, compacted and of one partition', async () => {
  const { storage } = await offsetsStorage();
  const stores = [storeOn(storage), storeOn(storage)];
  const commits = stores.flatMap((store, n) =>
    [0, 1, 2].map((partition) => store.commit(`g${n}`, [rowOf(1, partition, n)])),
  );
  const opened = new OffsetsTopic(storage.topics, silentLogger).open();
  await Promise.all([...commits, opened]);
  const topic = storage.topics.byName('__offsets');
  expect(topic?.partitions).toHaveLength(1);
  const config = new Map(topic?.describeConfig().map(({ key, value }) => [key, value]));
  expect(config.get('cleanup.policy')).toBe('compact');
  expect(config.get('segment.bytes')).toBe(String(32 * 2 ** 20));
  expect((await load(storage)).table.size).toBe(6);
});

describe('removing', () => {
  test('a group takes its offsets along, those that were just committed too', async () => {
    const { storage } = await faultyStorage();
    const store = storeOn(storage);
    await store.storeGroup(groupOf('g'));
    await store.commit('g', [rowOf(1, 0, 1)]);
    await Promise.all([
      store.commit('g', [rowOf(1, 1, 2)]),
      store.commit('other', [rowOf(1, 1, 3)]),
      store.deleteGroup('g'),
      store.commit('g', [rowOf(1, 2, 4)]),
    ]);
    expect(store.allCommitted('g').map(({ partition }) => partition)).toEqual([2]);
    const loaded = await load(storage);
    expect(offsetsIn(loaded)).toEqual(['first 9-0=0', 'g 1-2=4', 'other 1-1=3']);
    expect(loaded.groups.size).toBe(0);
  });

  test('offsets leaves the others of the group', async () => {
    const { storage } = await faultyStorage();
    const store = storeOn(storage);
    await store.commit('g', [rowOf(1, 0, 1), rowOf(1, 1, 2)]);
    await store.deleteOffsets('g', [
      { topicId: idOf(1), partition: 0 },
      { topicId: idOf(3), partition: 0 },
    ]);
    expect(offsetsIn(await load(storage))).toEqual(['first 9-0=0', 'g 1-1=2']);
    expect(store.allCommitted('g')).toEqual([rowOf(1, 1, 2)]);
  });

  test('a topic takes its offsets out of all groups, and a commit that was under way is not kept', async () => {
    const { storage, faults } = await faultyStorage();
    const gone = new Set<string>();
    const store = storeOn(storage, { topicExists: (topicId) => !gone.has(topicId) });
    await Promise.all(
      [0, 1, 2].map((n) => store.commit(`g${n}`, [rowOf(1, 0, n), rowOf(2, 0, n)])),
    );
    faults.holdSyncs();
    const late = store.commit('g3', [rowOf(1, 0, 3)]);
    await faults.syncHeld();
    gone.add(idOf(1));
    const forgotten = store.forgetTopic(idOf(1));
    expect(store.allCommitted('g0').map(({ topicId }) => topicId)).toEqual([idOf(2)]);
    faults.letSyncsGo();
    await Promise.all([late, forgotten]);
    expect(store.hasOffsets('g3')).toBe(false);
    const left = offsetsIn(await load(storage)).filter((text) => text.includes(' 1-'));
    expect(left).toEqual(['g3 1-0=3']);
  });
});

test('closing waits for what is under way, and refuses what comes later', async () => {
  const { storage, faults } = await faultyStorage();
  const store = storeOn(storage);
  faults.holdSyncs();
  const commit = store.commit('g', [rowOf(1, 0, 1)]);
  await faults.syncHeld();
  const closed = store.close();
  expect((await rejection(store.commit('g', [rowOf(1, 0, 2)]))).errorName).toBe('SHUTTING_DOWN');
  faults.letSyncsGo();
  await closed;
  expect(store.committed('g', idOf(1), 0)?.offset).toBe(1);
  await commit;
});

test('without its offsets a store answers with the reason, not with nothing', async () => {
  const { storage } = await offsetsStorage();
  const problem = new ProtocolError('CORRUPT_LOG', 'damaged');
  const store = storeOn(storage, { problem, table: new OffsetTable() });
  expect(() => store.committed('g', idOf(1), 0)).toThrow(problem);
  expect(() => store.allCommitted('g')).toThrow(problem);
  expect(await rejection(store.commit('g', [rowOf(1, 0, 1)]))).toBe(problem);
});
