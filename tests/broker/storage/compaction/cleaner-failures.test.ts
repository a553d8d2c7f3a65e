import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { crc32c, readBatches } from '@millrace/protocol';
import { Cleaner } from '../../../../broker/src/storage/compaction/cleaner.js';
import type { CompactionRunner } from '../../../../broker/src/storage/compaction/runner.js';
import { inlineRunner } from '../../../../broker/src/storage/compaction/runner.js';
import { applyRetention } from '../../../../broker/src/storage/retention.js';
import { StorageCounters } from '../../../../broker/src/storage/storage-counters.js';
import { chunksOf } from '../../../support/batches.js';
import { systemError } from '../../../support/faulty-persistence.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { linesLogger } from '../lines-logger.js';
import { allLogs, CompactedTopic } from './compacted-topic.js';
import { asText, keyedBatch, records } from './segment-files.js';

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let topic: CompactedTopic;

beforeEach(async () => {
  dir = await makeTempDir();
});
afterEach(async () => {
  await topic.storage.close();
  await dir.remove();
});

const text = async (offset = 0): Promise<string> =>
  (await topic.read(offset)).map(asText).join(' ');

describe('a pass that fails', () => {
  let counters: StorageCounters;
  /** Retention takes what the test says, and then the job finds a file missing. */
  const passes = (beneath: () => Promise<unknown>): Cleaner => {
    let failed = false;
    const runner: CompactionRunner = {
      ...inlineRunner,
      run: async (job, control) => {
        if (failed) return inlineRunner.run(job, control);
        failed = true;
        await beneath();
        throw systemError('ENOENT');
      },
    };
    counters = new StorageCounters();
    const environment = { ...topic.storage.environment, counters };
    return new Cleaner(() => allLogs(topic.storage), environment, { runner });
  };

  beforeEach(async () => {
    topic = await CompactedTopic.create(dir.path, {}, { 'cleanup.policy': 'compact,delete' });
    for (const batch of ['a=1 b=1', 'a=2 c=1', 'a=3']) {
      await topic.append({ records: records(batch) });
      await topic.log.seal();
    }
  });

  test('because retention took its segments is none, and is made again at once', async () => {
    const cleaner = passes(() => topic.log.removeBefore(2, 'a test'));
    await cleaner.tick();
    expect(counters).toMatchObject({ compactions: 0, compactionFailures: 0 });
    await cleaner.tick();
    expect(counters).toMatchObject({ compactions: 1, compactionFailures: 0 });
    expect(await text(2)).toBe('3:c=1 4:a=3');
  });

  test('for another reason is counted, and made again later', async () => {
    const cleaner = passes(() => Promise.resolve());
    await cleaner.tick();
    await cleaner.tick();
    expect(counters).toMatchObject({ compactions: 0, compactionFailures: 1 });
  });
});

test('a batch whose records cannot be read stays as it is, and holds up nothing', async () => {
  const lines = linesLogger();
  topic = await CompactedTopic.create(
    dir.path,
    { logger: lines.logger },
    { 'cleanup.policy': 'delete' },
  );
  const bad = keyedBatch({ records: records('a=2 b=1') });
  // The length of the second key; nobody looks into records where a topic is not compacted.
  bad.writeUInt8(0x7e, 74);
  bad.writeUInt32BE(crc32c(bad.subarray(21)), 17);
  await topic.append({ records: records('a=1 c=1') });
  await topic.partition.append(chunksOf(bad), -1);
  await topic.append({ records: records('c=2 d=1') });
  await topic.storage.topics.alterConfig('t', [{ key: 'cleanup.policy', value: 'compact' }]);
  for (let round = 0; round < 2; round += 1) {
    await topic.append({ records: records(`d=${round + 2}`) });
    await topic.compact();
    const [segment] = topic.log.sealedSegments();
    const batches = [...readBatches(await readFile(segment?.logPath ?? ''))];
    const kept = batches.filter(({ baseOffset }) => baseOffset === 2).map(({ bytes }) => bytes);
    expect(kept.map((bytes) => bytes.subarray(17))).toEqual([bad.subarray(17)]);
    const readable = batches.filter(({ baseOffset }) => baseOffset !== 2);
    const left = readable.flatMap((batch) => [...batch].map(({ offset }) => offset));
    // What it says of `a` does not count: readers cannot get it.
    expect(left).toEqual([0, 4, 6 + round]);
  }
  expect(lines.find(/compacted a log/)).toMatchObject({ unreadableBatches: 1 });
  expect(lines.find(/cannot be read stay/)).toMatchObject({
    firstUnreadable: expect.stringMatching(/\.log at byte \d+: .*claims a key of 63 bytes/),
  });
  expect(lines.count(/could not be compacted/)).toBe(0);
});

test('max.compaction.lag.ms seals and compacts what is older, however little it is', async () => {
  topic = await CompactedTopic.create(
    dir.path,
    {},
    { 'min.cleanable.dirty.ratio': '1', 'max.compaction.lag.ms': '1000' },
  );
  const { clock } = topic.storage;
  await topic.append({ records: records('a=1 b=1 c=1') });
  await topic.compact();
  await topic.append({ records: records('a=2') });
  const cleaner = new Cleaner(() => allLogs(topic.storage), topic.storage.environment, {
    runner: inlineRunner,
  });
  const all = '0:a=1 1:b=1 2:c=1 3:a=2';
  const round = async (): Promise<string> => {
    await applyRetention(topic.log, clock.nowMs);
    await cleaner.tick();
    return text();
  };
  clock.advance(1_000);
  expect(await round()).toBe(all);
  expect(topic.log.canSeal).toBe(true);
  clock.advance(1);
  expect(await round()).toBe('1:b=1 2:c=1 3:a=2');
  expect(topic.log.canSeal).toBe(false);
  await cleaner.close();
});
