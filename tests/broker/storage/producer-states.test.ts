import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ProtocolError, readBatchHeader } from '@millrace/protocol';
import type { BatchHeader } from '@millrace/protocol';
import { ProducerIds } from '../../../broker/src/storage/producer-ids.js';
import { ProducerStates } from '../../../broker/src/storage/producer-states.js';
import { makeBatch, T0 } from '../../support/batches.js';
import { silentLogger } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const limits = { maxProducers: 3, expirationMs: 1000 };
const LAST = 2 ** 31 - 1;

function batch(baseSequence: number, { id = 1, epoch = 0, records = 1 } = {}): BatchHeader {
  const header = readBatchHeader(
    makeBatch({ records: 1, producerId: id, producerEpoch: epoch, baseSequence }),
  );
  return { ...header, recordCount: records, lastOffsetDelta: records - 1 };
}

function refusal(states: ProducerStates, header: BatchHeader): string {
  try {
    states.check(header);
  } catch (error) {
    if (error instanceof ProtocolError) return error.errorName;
  }
  return 'none';
}

describe('producer states', () => {
  test('a batch in order is new, a repeat of the last five gets its first answer', () => {
    const states = new ProducerStates(limits);
    for (let i = 0; i < 7; i += 1) {
      const header = batch(i * 3, { records: 3 });
      expect(states.check(header)).toBeUndefined();
      states.record(header, 100 + i, i, 0);
    }
    for (let i = 2; i < 7; i += 1) {
      expect(states.check(batch(i * 3, { records: 3 }))).toMatchObject({
        baseOffset: 100 + i,
        endLsn: i,
      });
    }
    expect(refusal(states, batch(3, { records: 3 }))).toBe('DUPLICATE_SEQUENCE_NUMBER');
    expect(refusal(states, batch(18, { records: 2 }))).toBe('DUPLICATE_SEQUENCE_NUMBER');
    expect(refusal(states, batch(22))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(refusal(states, batch(21))).toBe('none');
  });

  test('sequences go on at 0 after 2^31 - 1', () => {
    const states = new ProducerStates(limits);
    states.record(batch(LAST - 4, { records: 3 }), 10, 0, 0);
    const across = batch(LAST - 1, { records: 4 });
    expect(states.check(across)).toBeUndefined();
    states.record(across, 13, 0, 0);
    expect(states.check(across)).toMatchObject({ baseOffset: 13, lastSequence: 1 });
    expect(states.check(batch(2))).toBeUndefined();
    expect(refusal(states, batch(3))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(refusal(states, batch(LAST))).toBe('DUPLICATE_SEQUENCE_NUMBER');
    const exact = new ProducerStates(limits);
    exact.record(batch(LAST), 1, 0, 0);
    expect(exact.check(batch(0))).toBeUndefined();
  });

  test('an unknown producer begins at 0, or is told that nothing is known of it', () => {
    const states = new ProducerStates(limits);
    expect(states.check(batch(0))).toBeUndefined();
    expect(refusal(states, batch(1))).toBe('UNKNOWN_PRODUCER_ID');
  });

  test('an old epoch is fenced, a new one begins at 0', () => {
    const states = new ProducerStates(limits);
    states.record(batch(0, { epoch: 4 }), 10, 0, 0);
    expect(refusal(states, batch(1, { epoch: 3 }))).toBe('INVALID_PRODUCER_EPOCH');
    expect(refusal(states, batch(1, { epoch: 5 }))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(states.check(batch(0, { epoch: 5 }))).toBeUndefined();
    states.record(batch(0, { epoch: 5 }), 11, 0, 0);
    expect(refusal(states, batch(1, { epoch: 4 }))).toBe('INVALID_PRODUCER_EPOCH');
    expect(states.check(batch(0, { epoch: 5 }))).toMatchObject({ baseOffset: 11 });
  });

  test('batches without a producer leave no trace', () => {
    const states = new ProducerStates(limits);
    states.record(batch(-1, { id: -1 }), 0, 0, 0);
    expect(states.size).toBe(0);
  });

  test('the longest idle is forgotten beyond the limit, and everyone after a while', () => {
    const states = new ProducerStates(limits);
    for (const id of [1, 2, 3]) states.record(batch(0, { id }), id, 0, id);
    states.record(batch(1, { id: 1 }), 4, 0, 4);
    states.record(batch(0, { id: 4 }), 5, 0, 5);
    expect(states.size).toBe(3);
    expect(refusal(states, batch(1, { id: 2 }))).toBe('UNKNOWN_PRODUCER_ID');
    expect(refusal(states, batch(2, { id: 1 }))).toBe('none');
    states.record(batch(0, { id: 5 }), 6, 0, 1005);
    expect(refusal(states, batch(1, { id: 3 }))).toBe('UNKNOWN_PRODUCER_ID');
    expect(refusal(states, batch(1, { id: 4 }))).toBe('none');
  });

  test('who wrote last is the last, over and over, with a new epoch and after a restore', () => {
    const first = new ProducerStates(limits);
    for (const id of [1, 2, 3]) first.record(batch(0, { id }), id, 0, id);
    const states = new ProducerStates(limits);
    expect(states.restore(first.encode())).toBe(true);
    const other = new ProducerStates(limits);
    expect(other.restore(first.encode())).toBe(true);
    other.record(batch(1, { id: 1 }), 4, 0, 4);
    expect([...other.remembered().producers]).toEqual([2, 3, 1]);
    // The last of the snapshot, twice, and then under another epoch.
    states.record(batch(1, { id: 3 }), 4, 0, 4);
    states.record(batch(2, { id: 3 }), 5, 0, 5);
    states.record(batch(0, { id: 3, epoch: 1 }), 6, 0, 6);
    states.record(batch(1, { id: 1 }), 7, 0, 7);
    states.record(batch(2, { id: 1 }), 8, 0, 8);
    const order = (of: ProducerStates): number[] => [...of.remembered().producers];
    expect(order(states)).toEqual([2, 3, 1]);
    states.record(batch(0, { id: 4 }), 9, 0, 9);
    expect(order(states)).toEqual([3, 1, 4]);
    expect(refusal(states, batch(3, { id: 3 }))).toBe('INVALID_PRODUCER_EPOCH');
  });

  test('the one who writes does not keep those who are silent', () => {
    const states = new ProducerStates(limits);
    states.record(batch(0, { id: 1 }), 0, 0, 0);
    states.record(batch(0, { id: 2 }), 1, 0, 1);
    states.record(batch(1, { id: 2 }), 2, 0, 1_002);
    expect([...states.remembered().producers]).toEqual([2]);
  });

  test('a snapshot restores the same answers', () => {
    const states = new ProducerStates(limits);
    for (const id of [1, 2]) {
      for (let i = 0; i < 6; i += 1) states.record(batch(i, { id, epoch: 2 }), id * 10 + i, 99, 5);
    }
    const restored = new ProducerStates(limits);
    expect(restored.restore(JSON.parse(JSON.stringify(states.encode())))).toBe(true);
    expect(restored.encode()).toEqual(states.encode());
    // It is durable already, whatever the log sequence numbers are now.
    expect(restored.check(batch(3, { id: 2, epoch: 2 }))).toMatchObject({
      baseOffset: 23,
      endLsn: 0,
    });
  });

  test('what is no snapshot changes nothing', () => {
    const states = new ProducerStates(limits);
    states.record(batch(0), 1, 0, 0);
    const before = states.encode();
    const wrong = [null, {}, [1], [[1, 2, 3]], [[1, 0, 0, [[1, 2]]]], [[1, 0, 0, [['a', 2, 3]]]]];
    for (const snapshot of wrong) expect(states.restore(snapshot)).toBe(false);
    expect(states.encode()).toEqual(before);
    expect(states.restore([])).toBe(true);
    expect(states.size).toBe(0);
  });
});

test('producer ids are never given twice, also when nothing was closed', async () => {
  const dir = await makeTempDir();
  const seen = new Set<number>();
  for (let run = 0; run < 4; run += 1) {
    const ids = await ProducerIds.load(dir.path, 10, {
      ...{ isNew: true, nowMs: T0, logger: silentLogger },
    });
    expect([...seen].every((id) => ids.isIssued(id))).toBe(true);
    expect(ids.isIssued(1000)).toBe(false);
    for (const id of await Promise.all(Array.from({ length: 25 }, () => ids.next()))) {
      expect(seen.has(id)).toBe(false);
      seen.add(id);
    }
  }
  expect(seen.size).toBe(100);
  await dir.remove();
});

test.each([
  ['lost', undefined],
  ['damaged', '{"crc32c":'],
])('where their file is %s, producer ids go on where none was given out', async (_, content) => {
  const dir = await makeTempDir();
  const about = { nowMs: T0, logger: silentLogger };
  const path = join(dir.path, 'producer-ids.json');
  let last = -1;
  for (let run = 0; run < 3; run += 1) {
    const ids = await ProducerIds.load(dir.path, 10, {
      ...about,
      isNew: run === 0,
      nowMs: T0 + run,
    });
    const next = await ids.next();
    expect(next).toBeGreaterThan(last);
    expect(ids.isIssued(last)).toBe(true);
    last = next;
    await (content === undefined ? rm(path) : writeFile(path, content));
  }
  expect(Number.isSafeInteger(last)).toBe(true);
  await dir.remove();
});
