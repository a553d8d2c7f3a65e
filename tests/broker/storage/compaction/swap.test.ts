import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { SwapStep } from '../../../../broker/src/storage/compaction/swap.js';
import { SegmentGoneError } from '../../../../broker/src/storage/errors.js';
import { T0 } from '../../../support/batches.js';
import { DescriptorLimit } from '../../../support/descriptor-limit.js';
import { crashCopy, filesIn } from '../../../support/storage.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { cleanerFor, CompactedTopic, readFrom } from './compacted-topic.js';
import { asText, records } from './segment-files.js';

type TempDir = Awaited<ReturnType<typeof makeTempDir>>;

const steps: readonly SwapStep[] = [
  'cleaned',
  'pending',
  'index-removed',
  'renamed',
  'inputs-removed',
  'settled',
];
const OLD = '0:a=1 1:b=1 2:a=2 3:c=1 4:b=2 5:d 6:a=3 7:e=1';
const NEW = '3:c=1 4:b=2 5:d 6:a=3 7:e=1';

let dir: TempDir;
let topic: CompactedTopic;
const copies: TempDir[] = [];

beforeEach(async () => {
  dir = await makeTempDir();
  topic = await CompactedTopic.create(dir.path);
  for (const batch of ['a=1 b=1', 'a=2 c=1', 'b=2 d', 'a=3']) {
    await topic.append({ records: records(batch) });
    await topic.log.seal();
  }
  await topic.append({ records: records('e=1') });
});
afterEach(async () => {
  await topic.storage.close();
  await dir.remove();
  for (const copy of copies.splice(0)) await copy.remove();
});

const text = async (of = topic): Promise<string> => (await of.read()).map(asText).join(' ');

describe.each(steps)('after the step %s', (step) => {
  const swapped = steps.indexOf(step) >= steps.indexOf('renamed');

  test('a crash leaves the old segments or the new one', async () => {
    const cleaner = cleanerFor(topic.storage, {
      onStep: async (reached) => {
        if (reached === step) copies.push(await crashCopy(dir.path));
      },
    });
    await cleaner.tick();
    expect(await text()).toBe(NEW);

    const [copy] = copies;
    const after = await CompactedTopic.open(copy?.path ?? '');
    try {
      expect(await text(after)).toBe(swapped ? NEW : OLD);
      expect(await filesIn(after.log.directory, '.cleaned')).toEqual([]);
      expect(await filesIn(after.log.directory, '.log')).toHaveLength(swapped ? 2 : 5);
      for (let offset = 0; offset < 8; offset += 1) {
        const [first] = await after.read(offset);
        expect(first?.offset).toBeGreaterThanOrEqual(offset);
      }
      await after.append({ records: records('a=4') });
      await after.compact();
      const { offset = -1 } = (await after.read()).at(-1) ?? {};
      expect(await text(after)).toBe(`3:c=1 4:b=2 5:d 7:e=1 ${offset}:a=4`);
    } finally {
      await after.storage.close();
    }
  });

  test('an error loses nothing, and the next attempt ends what it left', async () => {
    let fails = true;
    const cleaner = cleanerFor(topic.storage, {
      onStep: (reached) => {
        if (reached !== step || !fails) return;
        fails = false;
        throw Object.assign(new Error('made by a test'), { code: 'EIO' });
      },
    });
    await cleaner.tick();
    // The new name is there and may not be durable: nobody knows what the next start finds.
    const offline = step === 'renamed';
    expect(topic.log.failure?.errorName).toBe(offline ? 'PARTITION_OFFLINE' : undefined);
    if (!offline) {
      expect(await text()).toBe(swapped ? NEW : OLD);
      expect(await filesIn(topic.log.directory, '.cleaned')).toEqual([]);
      await topic.append({ records: records('f=1') });
      topic.storage.clock.advance(60_000);
      await cleaner.tick();
      expect(await text()).toBe(`${NEW} 8:f=1`);
    }
    await cleaner.close();
    await topic.storage.close();
    topic = await CompactedTopic.open(dir.path);
    const expected = offline ? (swapped ? NEW : OLD) : `${NEW} 8:f=1`;
    expect(await text()).toBe(expected);
    const merged = offline ? swapped : true;
    expect(await filesIn(topic.log.directory, '.log')).toHaveLength(merged ? 2 : 5);
    expect(await filesIn(topic.log.directory, '.cleaned')).toEqual([]);
  });
});

test('a shortage of descriptors amid a swap does not end it', async () => {
  const limit = await DescriptorLimit.control();
  try {
    const cleaner = cleanerFor(topic.storage, {
      onStep: async (step) => {
        if (step === 'pending') await limit.exhaust();
        if (step === 'renamed') await limit.restore();
      },
    });
    await cleaner.tick();
    await cleaner.close();
  } finally {
    await limit.close();
  }
  expect(topic.log.failure).toBeUndefined();
  expect(await text()).toBe(NEW);
});

test('readers go on with the old segments when a swap is taken back', async () => {
  const cleaner = cleanerFor(topic.storage, {
    onStep: (step) => {
      if (step === 'index-removed') throw Object.assign(new Error('a test'), { code: 'EIO' });
    },
  });
  const held = topic.log.sealedSegments();
  const ended = new AbortController();
  const reader = (async () => {
    while (!ended.signal.aborted) {
      expect((await readFrom(topic.partition, 0, 100)).map(asText).join(' ')).toBe(OLD);
      await setImmediate();
    }
  })();
  await cleaner.tick();
  ended.abort();
  await reader;
  expect(() => held[0]?.acquire()).toThrow(SegmentGoneError);
  expect(await topic.partition.offsetForTimestamp(T0)).toEqual({ offset: 0, timestampMs: T0 });
});

test('readers meet the log as it was or as it is, at each step', async () => {
  const cleaner = cleanerFor(topic.storage, {
    onStep: async (step) => {
      // A read that waits for the names to be changed is answered afterwards.
      if (step === 'index-removed' || step === 'renamed') return;
      const swapped = steps.indexOf(step) > steps.indexOf('renamed');
      const found = await readFrom(topic.partition, 0);
      expect(found.map(asText).join(' ')).toBe(swapped ? NEW : OLD);
    },
  });
  let reading = true;
  const readers = [0, 1, 2].map(async (from) => {
    while (reading) {
      const found = await readFrom(topic.partition, from, 100);
      expect(found.at(-1)?.offset).toBe(7);
      await setImmediate();
    }
  });
  await cleaner.tick();
  reading = false;
  await Promise.all(readers);
  expect(await text()).toBe(NEW);
});
