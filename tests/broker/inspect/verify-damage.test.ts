import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BATCH_OVERHEAD_BYTES } from '@millrace/protocol';
import { SLOT_BYTES } from '../../../broker/src/storage/checkpoint.js';
import { INDEX_ENTRY_BYTES } from '../../../broker/src/storage/offset-index.js';
import { seededRandom, testSeed } from '../../support/seed.js';
import { batchPositions, flip, segmentsIn, SoundDirectory, verified } from './sample-data.js';

const random = seededRandom(testSeed());
const below = (count: number): number => Math.floor(random() * count);

/** Positions of fields within a batch. */
const field = {
  baseOffset: [0, 8],
  batchLength: [8, 12],
  leaderEpoch: [12, 16],
  magic: [16, 17],
  crc: [17, 21],
  attributes: [21, 23],
  lastOffsetDelta: [23, 27],
  timestamps: [27, 43],
  producer: [43, 57],
  recordCount: [57, 61],
} as const;

let sample: SoundDirectory;

beforeAll(async () => {
  sample = await SoundDirectory.make();
});

afterAll(() => sample.remove());

const damaged = (): ReturnType<SoundDirectory['copy']> => sample.copy();

/** Where a batch of a random segment starts. */
async function someBatch(log: string): Promise<{ segment: string; position: number }> {
  const segments = await segmentsIn(log);
  const segment = segments[below(segments.length)] ?? '';
  const positions = batchPositions(segment);
  return { segment, position: positions[below(positions.length)] ?? 0 };
}

test('the sample itself is sound', async () => {
  const { damage, topics } = await verified(sample.path);
  expect(damage).toEqual([]);
  expect(topics).toMatchObject([{ batches: 90 }]);
});

describe('one byte that is not as it was written is found where it is', () => {
  test.each(Object.entries(field))('%s of a batch', async (_, [from, to]) => {
    const { path, log } = damaged();
    const { segment, position } = await someBatch(log);
    flip(segment, position + from + below(to - from), 1 << below(8));
    const { damage } = await verified(path);
    expect(damage[0]).toMatchObject({ kind: 'batch', path: segment, position });
    expect(new Set(damage.map((found) => found.path))).toEqual(new Set([segment]));
  });

  test('a record', async () => {
    const { path, log } = damaged();
    const { segment, position } = await someBatch(log);
    flip(segment, position + BATCH_OVERHEAD_BYTES + below(40));
    const { damage } = await verified(path);
    expect(damage).toMatchObject([
      { path: segment, position, problem: expect.stringContaining('checksum does not fit') },
    ]);
  });

  test('an index entry', async () => {
    const { path, log } = damaged();
    const index = (await segmentsIn(log))[1]?.replace('.log', '.index') ?? '';
    const entry = below(statSync(index).size / INDEX_ENTRY_BYTES) * INDEX_ENTRY_BYTES;
    flip(index, entry + below(INDEX_ENTRY_BYTES));
    const { damage } = await verified(path);
    expect(damage).toMatchObject([{ kind: 'index', path: index, position: entry }]);
    expect(damage[0]?.advice).toContain('builds it again');
  });

  test.each([0, 1])('slot %d of the checkpoint', async (slot) => {
    const { path, log } = damaged();
    const checkpoint = join(log, 'checkpoint');
    flip(checkpoint, slot * SLOT_BYTES + below(84));
    const { damage } = await verified(path);
    expect(damage).toMatchObject([
      { kind: 'checkpoint', path: checkpoint, position: slot * SLOT_BYTES },
    ]);
  });

  test.each(['epochs.json', 'producers.json', 'compaction.json'])('%s', async (name) => {
    const { path, log } = damaged();
    const file = join(log, name);
    if (name === 'compaction.json') writeFileSync(file, '{"crc32c":"00000000","content":{}}');
    else flip(file, readFileSync(file).indexOf('content') + 12, 1);
    const { damage } = await verified(path);
    expect(damage).toContainEqual(expect.objectContaining({ path: file, position: 0 }));
  });

  test('meta.json, topic.json and producer-ids.json', async () => {
    const { path } = damaged();
    writeFileSync(join(path, 'producer-ids.json'), 'x');
    const files = ['meta.json', join('topics', sample.topicId, 'topic.json'), 'producer-ids.json'];
    for (const file of files) writeFileSync(join(path, file), 'garbage');
    const { damage } = await verified(path);
    expect(damage.map((found) => found.path).sort()).toEqual(
      files.map((file) => join(path, file)).sort(),
    );
  });
});

test('no byte of a segment can change without being found', async () => {
  const { path, log } = damaged();
  const segments = await segmentsIn(log);
  for (let round = 0; round < 60; round += 1) {
    const segment = segments[below(segments.length)] ?? '';
    const position = below(statSync(segment).size);
    const mask = 1 << below(8);
    flip(segment, position, mask);
    const { damage } = await verified(path);
    flip(segment, position, mask);
    expect([position, damage.length > 0, damage[0]?.path]).toEqual([position, true, segment]);
  }
  expect((await verified(path)).damage).toEqual([]);
});
