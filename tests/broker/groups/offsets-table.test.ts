import { expect, test } from '@jest/globals';
import { OffsetTable } from '../../../broker/src/groups/offsets-table.js';
import { seededRandom, testSeed } from '../../support/seed.js';

const idOf = (topic: number): string => topic.toString(16).padStart(32, '0');

test('does what a map does, over many changes of groups, topics and partitions', () => {
  const random = seededRandom(testSeed());
  const below = (limit: number): number => Math.floor(random() * limit);
  const table = new OffsetTable();
  const model = new Map<string, object>();
  for (let step = 0; step < 12_000; step += 1) {
    const groupId = `g${below(40)}`;
    const topicId = idOf(below(6));
    const partition = below(20);
    const key = `${groupId} ${topicId} ${partition}`;
    // Phases in which it mostly grows, and mostly shrinks.
    const grows = Math.floor(step / 2_000) % 2 === 0;
    if (random() < (grows ? 0.8 : 0.3)) {
      const committed = {
        offset: below(2 ** 50),
        leaderEpoch: below(9) - 1,
        metadata: below(3) === 0 ? `m${step}` : null,
        commitTimeMs: 1_700_000_000_000 + step,
      };
      table.set(groupId, topicId, partition, committed);
      model.set(key, committed);
    } else {
      expect(table.delete(groupId, topicId, partition)).toBe(model.delete(key));
    }
    expect(table.get(groupId, topicId, partition)).toEqual(model.get(key));
    if (step % 1_000 === 0) expectSame(table, model);
  }
  for (const [key] of model) {
    const [groupId = '', topicId = '', partition = ''] = key.split(' ');
    expect(table.delete(groupId, topicId, Number(partition))).toBe(true);
  }
  model.clear();
  expectSame(table, model);
});

function expectSame(table: OffsetTable, model: ReadonlyMap<string, object>): void {
  expect(table.size).toBe(model.size);
  const groups = new Set([...model.keys()].map((key) => key.split(' ')[0]));
  expect(new Set(table.groupIds())).toEqual(groups);
  const topics = new Set([...model.keys()].map((key) => key.split(' ')[1]));
  expect(new Set(table.topicIds())).toEqual(topics);
  const found = new Map<string, object>();
  for (const groupId of table.groupIds()) {
    expect(table.hasGroup(groupId)).toBe(true);
    for (const { topicId, partition, ...committed } of table.rowsOf(groupId)) {
      found.set(`${groupId} ${topicId} ${partition}`, committed);
    }
  }
  expect(found).toEqual(model);
  const ofTopic = [...table.topicIds()].flatMap((topicId) => table.keysOfTopic(topicId));
  const keys = ofTopic.map(
    ({ groupId, topicId, partition }) => `${groupId} ${topicId} ${partition}`,
  );
  expect(new Set(keys)).toEqual(new Set(model.keys()));
  expect(keys).toHaveLength(model.size);
}

test('knows nothing of what was never there', () => {
  const table = new OffsetTable();
  expect(table.get('g', idOf(1), 0)).toBeUndefined();
  expect(table.rowsOf('g')).toEqual([]);
  expect(table.hasGroup('g')).toBe(false);
  expect(table.keysOfTopic(idOf(1))).toEqual([]);
  expect(table.delete('g', idOf(1), 0)).toBe(false);
});
