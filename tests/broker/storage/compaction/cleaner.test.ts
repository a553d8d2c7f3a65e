import { readdir, readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Cleaner } from '../../../../broker/src/storage/compaction/cleaner.js';
import { inlineRunner } from '../../../../broker/src/storage/compaction/runner.js';
import type { CompactionRunner } from '../../../../broker/src/storage/compaction/runner.js';
import { drain, rejection, T0 } from '../../../support/batches.js';
import { createTopic, filesIn, TestClock } from '../../../support/storage.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { append, cleanerFor, COMPACT, CompactedTopic, logOf, readFrom } from './compacted-topic.js';
import { asText, records } from './segment-files.js';

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let topic: CompactedTopic;
const cleaners: Cleaner[] = [];

beforeEach(async () => {
  dir = await makeTempDir();
});
afterEach(async () => {
  for (const cleaner of cleaners.splice(0)) await cleaner.close();
  await topic.storage.close();
  await dir.remove();
});

const text = async (offset = 0): Promise<string> =>
  (await topic.read(offset)).map(asText).join(' ');
const cleaner = (options = {}): Cleaner => {
  const made = cleanerFor(topic.storage, options);
  cleaners.push(made);
  return made;
};

describe('a compacted log', () => {
  test('is read from any offset on to its next record', async () => {
    topic = await CompactedTopic.create(dir.path);
    await topic.append({ records: records('a=1 b=1') }, { records: records('a=2 c=1') });
    await topic.log.seal();
    await topic.append({ records: records('b=2') }, { records: records('a=3 d=1') });
    await topic.compact();
    await topic.append({ records: records('e=1') });
    const all = '3:c=1 4:b=2 5:a=3 6:d=1 7:e=1';
    expect(await text()).toBe(all);
    for (let offset = 0; offset <= 8; offset += 1) {
      const expected = all.split(' ').filter((record) => parseInt(record, 10) >= offset);
      expect(await text(offset)).toBe(expected.join(' '));
      expect((await topic.read(offset, 1)).map(asText)).toEqual(expected);
    }
    expect(topic.log.sizeBytes).toBe(
      topic.log.sealedSegments().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) + 70,
    );
    await topic.restart();
    expect(await text()).toBe(all);
    expect(await filesIn(topic.log.directory, '.cleaned')).toEqual([]);
  });

  test('is searched by time', async () => {
    topic = await CompactedTopic.create(dir.path);
    for (let i = 0; i < 60; i += 1) {
      await topic.append({ records: records(`a=${i} k${i % 20}=${i}`), timestampMs: T0 + i });
    }
    await topic.compact();
    const left = await topic.read();
    expect(left.length).toBe(21);
    for (let i = 0; i < 62; i += 1) {
      const expected = left.find(({ timestampMs }) => timestampMs >= T0 + i);
      const found = await topic.partition.offsetForTimestamp(T0 + i);
      expect(found?.offset).toBe(expected?.offset);
    }
  });

  test('serves readers of the old files to their end', async () => {
    topic = await CompactedTopic.create(dir.path);
    await topic.append({ records: records('a=1 b=1') }, { records: records('a=2 b=2') });
    const region = await topic.partition.read(0, 4096, true);
    if (region === undefined) throw new Error('there is no region');
    await topic.compact();
    expect(await text()).toBe('2:a=2 3:b=2');
    expect(drain(region).length).toBe(region.length);
  });

  test('is still compacted where visibility is durable', async () => {
    topic = await CompactedTopic.create(dir.path, { config: { visibility: 'durable' } });
    await topic.append({ records: records('a=1 a=2') });
    await topic.compact();
    await topic.append({ records: records('b=1') });
    expect(await text()).toBe('1:a=2 2:b=1');
  });
});

describe('the cleaner', () => {
  test('leaves logs alone that are not dirty enough, or not to be compacted', async () => {
    topic = await CompactedTopic.create(dir.path, {}, { 'min.cleanable.dirty.ratio': '0.5' });
    const other = await createTopic(topic.storage, { 'segment.bytes': '4096' }, 'other');
    await append(other, { records: records('a=1 a=2') });
    await logOf(other).seal();
    await topic.append({ records: records('a=1 b=1 c=1 d=1 e=1 f=1 a=2') });
    await topic.compact();
    expect(await text()).toBe('1:b=1 2:c=1 3:d=1 4:e=1 5:f=1 6:a=2');
    await topic.append({ records: records('b=2') });
    await topic.compact();
    expect(await text()).toBe('1:b=1 2:c=1 3:d=1 4:e=1 5:f=1 6:a=2 7:b=2');
    await topic.append({ records: records('g=1 h=1 c=2 d=2') });
    await topic.compact();
    expect(await text()).toBe('4:e=1 5:f=1 6:a=2 7:b=2 8:g=1 9:h=1 10:c=2 11:d=2');
    expect((await readFrom(other, 0)).map(asText)).toEqual(['0:a=1', '1:a=2']);
  });

  test('leaves records younger than min.compaction.lag.ms', async () => {
    topic = await CompactedTopic.create(dir.path, {}, { 'min.compaction.lag.ms': '1000' });
    const { clock } = topic.storage;
    await topic.append({ records: records('a=1 a=2') });
    await topic.log.seal();
    clock.advance(999);
    await topic.append({ records: records('a=3'), timestampMs: clock.nowMs });
    await topic.compact();
    expect(await text()).toBe('0:a=1 1:a=2 2:a=3');
    clock.advance(1);
    await topic.compact();
    expect(await text()).toBe('1:a=2 2:a=3');
    clock.advance(1_000);
    await topic.compact();
    expect(await text()).toBe('2:a=3');
  });

  test('keeps tombstones for delete.retention.ms after their first pass, over restarts', async () => {
    const clock = new TestClock();
    topic = await CompactedTopic.create(
      dir.path,
      { clock },
      { 'delete.retention.ms': '1000', 'min.cleanable.dirty.ratio': '1' },
    );
    await topic.append({ records: records('a=1 b=1 a') });
    clock.advance(5_000);
    await topic.compact();
    expect(await text()).toBe('1:b=1 2:a');
    clock.advance(999);
    await topic.restart();
    await topic.compact();
    expect(await text()).toBe('1:b=1 2:a');
    clock.advance(1);
    await topic.compact();
    expect(await text()).toBe('1:b=1');
  });

  test('drops what was deleted from the beginning of a segment', async () => {
    topic = await CompactedTopic.create(dir.path);
    await topic.append({ records: records('a=1 b=1 c=1 d=1') });
    await topic.log.seal();
    await topic.append({ records: records('e=1') });
    await topic.log.removeBefore(2, 'a test');
    await topic.compact();
    const [segment] = topic.log.sealedSegments();
    expect(await text(2)).toBe('2:c=1 3:d=1 4:e=1');
    expect(topic.log.startOffset).toBe(2);
    await topic.restart();
    expect(await text(2)).toBe('2:c=1 3:d=1 4:e=1');
    expect(segment?.baseOffset).toBe(0);
  });

  test('gets to the next log when one cannot be compacted, and tries that again later', async () => {
    topic = await CompactedTopic.create(dir.path, { config: { cleanerIntervalMs: 1_000 } });
    const other = await createTopic(topic.storage, COMPACT, 'other');
    await topic.append({ records: records('a=1 a=2') });
    await append(other, { records: records('a=1 a=2') });
    await topic.log.seal();
    await logOf(other).seal();
    const path = topic.log.sealedSegments()[0]?.logPath ?? '';
    const good = await readFile(path);
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(bad.length - 1) ^ 0xff, bad.length - 1);
    await writeFile(path, bad);

    let runs = 0;
    const runner: CompactionRunner = {
      ...inlineRunner,
      run: (job, control) => {
        runs += 1;
        return inlineRunner.run(job, control);
      },
    };
    const compactor = cleaner({ runner });
    await compactor.tick();
    expect((await readFrom(other, 0)).map(asText)).toEqual(['1:a=2']);
    expect(await readFile(path)).toEqual(bad);
    expect(topic.log.failure).toBeUndefined();
    expect(runs).toBe(2);

    topic.storage.clock.advance(1_999);
    await compactor.tick();
    expect(runs).toBe(2);
    await writeFile(path, good);
    topic.storage.clock.advance(1);
    await compactor.tick();
    expect(runs).toBe(3);
    expect(await text()).toBe('1:a=2');
  });

  test('gives up a pass whose segments retention removes, and makes another', async () => {
    topic = await CompactedTopic.create(dir.path);
    for (const batch of ['a=1 b=1', 'a=2 c=1', 'b=2 d=1']) {
      await topic.append({ records: records(batch) });
      await topic.log.seal();
    }
    let removed = false;
    const compactor = cleaner({
      onStep: async (step: string) => {
        if (step !== 'cleaned' || removed) return;
        removed = true;
        await topic.log.removeBefore(4, 'a test');
      },
    });
    await compactor.tick();
    expect(await text(4)).toBe('4:b=2 5:d=1');
    expect(await filesIn(topic.log.directory, '.cleaned')).toEqual([]);
    await topic.append({ records: records('b=3') });
    await topic.log.seal();
    await compactor.tick();
    expect(await text(4)).toBe('5:d=1 6:b=3');
    expect(topic.log.failure).toBeUndefined();
  });

  test('ends quietly when the topic is deleted meanwhile', async () => {
    topic = await CompactedTopic.create(dir.path);
    await topic.append({ records: records('a=1 a=2') });
    await topic.log.seal();
    const { directory } = topic.log;
    const compactor = cleaner({
      onStep: async (step: string) => {
        if (step === 'cleaned') await topic.storage.topics.delete('t');
      },
    });
    await compactor.tick();
    await expect(readdir(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('stops a pass when it is closed, and leaves everything as it was', async () => {
    topic = await CompactedTopic.create(dir.path, {
      config: { cleanerBytesPerSecond: 64 * 1024 },
    });
    for (let i = 0; i < 40; i += 1) {
      await topic.append({ records: records(`a=${'x'.repeat(2_000)} b=${i}`) });
    }
    await topic.log.seal();
    const before = await topic.read();
    const compactor = cleaner();
    const round = compactor.tick();
    await compactor.close();
    await round;
    expect(await topic.read()).toEqual(before);
    expect(await filesIn(topic.log.directory, '.cleaned')).toEqual([]);
    await compactor.tick();
    expect(await topic.read()).toEqual(before);
  });
});

describe('idempotent producers', () => {
  const of = (producerId: number, baseSequence: number, what: string) => ({
    ...{ producerId, baseSequence, records: records(what) },
  });

  test.each(['with', 'without'])('go on after a restart %s a snapshot', async (snapshot) => {
    topic = await CompactedTopic.create(dir.path);
    for (let i = 0; i < 8; i += 1) await topic.append(of(7, 2 * i, `a=${i} b=${i}`));
    await topic.append(of(8, 0, 'a=8 b=8 c=8'));
    await topic.append({ records: records('a=9 b=9 c=9') });
    await topic.compact();
    expect(await text()).toBe('19:a=9 20:b=9 21:c=9');
    const { directory } = topic.log;
    await topic.storage.close();
    if (snapshot === 'without') await writeFile(`${directory}/producers.json`, 'no snapshot');
    topic = await CompactedTopic.open(dir.path);

    expect((await append(topic.partition, of(7, 14, 'a=7 b=7'))).baseOffset).toBe(14);
    expect((await append(topic.partition, of(7, 6, 'a=3 b=3'))).baseOffset).toBe(6);
    expect((await append(topic.partition, of(8, 0, 'a=8 b=8 c=8'))).baseOffset).toBe(16);
    const tooOld = rejection(append(topic.partition, of(7, 4, 'a=2 b=2')));
    expect((await tooOld).errorName).toBe('DUPLICATE_SEQUENCE_NUMBER');
    const gap = rejection(append(topic.partition, of(7, 20, 'a=1')));
    expect((await gap).errorName).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect((await append(topic.partition, of(7, 16, 'd=1'))).baseOffset).toBe(22);
    expect((await append(topic.partition, of(8, 3, 'd=2'))).baseOffset).toBe(23);
  });
});
