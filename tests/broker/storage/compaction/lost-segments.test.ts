import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readManifest } from '../../../../broker/src/storage/compaction/manifest.js';
import { rejection } from '../../../support/batches.js';
import { crashCopy } from '../../../support/storage.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { verified } from '../../inspect/sample-data.js';
import { linesLogger } from '../lines-logger.js';
import { CompactedTopic } from './compacted-topic.js';
import { asText, records } from './segment-files.js';

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let topic: CompactedTopic;
let copy: typeof dir | undefined;

beforeEach(async () => {
  dir = await makeTempDir();
});
afterEach(async () => {
  await topic.storage.close();
  await dir.remove();
  await copy?.remove();
  copy = undefined;
});

/** Appends what compaction leaves several segments of, with gaps between them. */
async function fill(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const n of [1, 2, 3]) {
      await topic.append({
        records: records(`u${topic.log.nextOffset}.${n}=${'x'.repeat(1_000)}`),
      });
    }
    await topic.append({ records: records(`a=${round}`) });
  }
}

/** Base offset and end of each segment below `cleanedTo`. */
const below = (): number[][] =>
  topic.log
    .sealedSegments()
    .filter(({ baseOffset }) => baseOffset < topic.log.cleanedTo)
    .map((segment) => [segment.baseOffset, topic.log.endOf(segment)]);
const listed = async (): Promise<unknown> => (await readManifest(topic.log.directory)).segments;

/** Removes a segment from the middle of what was compacted, while no broker runs. */
async function loseMiddle(policy: string): Promise<readonly [base: number, end: number]> {
  topic = await CompactedTopic.create(dir.path, {}, { 'cleanup.policy': policy });
  await fill(12);
  await topic.compact();
  await topic.append({ records: records('z=1') });
  const [base = -1, end = -1] = below()[3] ?? [];
  const lost = topic.log.sealedSegments()[3];
  await topic.storage.close();
  await rm(lost?.logPath ?? '');
  await rm(lost?.indexPath ?? '');
  return [base, end];
}

test('the list of compacted segments is what there is, over passes and restarts', async () => {
  topic = await CompactedTopic.create(dir.path, {}, { 'cleanup.policy': 'compact,delete' });
  for (let round = 0; round < 4; round += 1) {
    await fill(5);
    await topic.compact();
    expect(below().length).toBeGreaterThan(3);
    expect(await listed()).toEqual(below());
    if (round === 2) await topic.log.removeBefore(topic.log.nextOffset >> 1, 'a test');
    await topic.restart();
    expect(topic.log.lostSegments).toEqual([]);
  }
  await topic.log.removeBefore(topic.log.nextOffset - 2, 'a test');
  await topic.restart();
  expect(topic.log.lostSegments).toEqual([]);
});

test('a compacted segment that is lost is said, and never read over', async () => {
  const [base, end] = await loseMiddle('compact');
  const lines = linesLogger();
  topic = await CompactedTopic.open(dir.path, { logger: lines.logger });
  expect(lines.count(/the file is missing: compaction left the offsets/)).toBe(1);
  expect(topic.log.lostSegments).toEqual([[base, end]]);
  for (const offset of [base, end - 1]) {
    const error = await rejection(topic.read(offset));
    expect(error).toMatchObject({ errorName: 'CORRUPT_LOG' });
    expect(error.message).toContain(`the offsets from ${offset} up to its base offset ${end} are`);
  }
  expect((await rejection(topic.read(0))).errorName).toBe('CORRUPT_LOG');
  expect((await topic.read(end)).at(-1)).toMatchObject({ key: 'z' });
});

test('its log takes no appends, and is not compacted, which would hide the gap', async () => {
  const [, end] = await loseMiddle('compact,delete');
  topic = await CompactedTopic.open(dir.path);
  const refused = await rejection(topic.append({ records: records('z=2') }));
  expect(refused.errorName).toBe('CORRUPT_LOG');
  const segments = topic.log.segmentCount;
  await topic.compact();
  expect(topic.log.segmentCount).toBe(segments);
  expect((await rejection(topic.read(0))).errorName).toBe('CORRUPT_LOG');
  await topic.log.removeBefore(end, 'a test');
  await topic.compact();
  expect(await listed()).toEqual(below());
});

test('what compaction emptied before an unclean stop is no loss', async () => {
  topic = await CompactedTopic.create(dir.path, {}, { 'delete.retention.ms': '0' });
  await topic.append({ records: records('b=1') }, { records: records('a') });
  await topic.compact();
  await topic.compact();
  expect((await topic.read()).map(asText)).toEqual(['0:b=1']);
  copy = await crashCopy(dir.path);
  await topic.storage.close();
  topic = await CompactedTopic.open(copy.path);
  await topic.append({ records: records('c=1') });
  const last = topic.log.nextOffset - 1;
  expect(last).toBeGreaterThan(2);
  expect((await topic.read()).map(asText)).toEqual(['0:b=1', `${last}:c=1`]);
  expect((await topic.read(1)).map(asText)).toEqual([`${last}:c=1`]);
  const crashed = await crashCopy(copy.path);
  expect((await verified(crashed.path)).damage).toEqual([]);
  await crashed.remove();
});
