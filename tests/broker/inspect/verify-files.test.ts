import {
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CheckpointFile } from '../../../broker/src/storage/checkpoint.js';
import { readJsonFile, writeJsonFile } from '../../../broker/src/storage/json-file.js';
import { INDEX_ENTRY_BYTES, OffsetIndex } from '../../../broker/src/storage/offset-index.js';
import { logFileName } from '../../../broker/src/storage/segment-name.js';
import { makeBatch } from '../../support/batches.js';
import { temporaryDirectory } from '../support/temporary.js';
import {
  batchPositions,
  flip,
  makeSample,
  segmentsIn,
  SoundDirectory,
  verified,
} from './sample-data.js';

let sample: SoundDirectory;

beforeAll(async () => {
  sample = await SoundDirectory.make();
});

afterAll(() => sample.remove());

const damaged = (): ReturnType<SoundDirectory['copy']> => sample.copy();

describe('files that are not what the log needs', () => {
  test('an index that belongs to another segment', async () => {
    const { path, log } = damaged();
    const [first = '', second = ''] = await segmentsIn(log);
    const index = second.replace('.log', '.index');
    cpSync(first.replace('.log', '.index'), index);
    const { damage } = await verified(path);
    expect(damage).toMatchObject([{ kind: 'index', path: index }]);
  });

  test('an index entry that points into a batch', async () => {
    const { path, log } = damaged();
    const [segment = ''] = await segmentsIn(log);
    const index = OffsetIndex.empty(0);
    index.track(0, -1, 0, 1);
    index.track(4, -1, (batchPositions(segment)[1] ?? 0) + 1, 1);
    const file = segment.replace('.log', '.index');
    writeFileSync(file, index.encode());
    const { damage } = await verified(path);
    expect(damage).toMatchObject([{ kind: 'index', path: file, position: INDEX_ENTRY_BYTES }]);
    expect(damage[0]?.problem).toContain('where no batch starts');
  });

  test('the first segment is missing', async () => {
    const { path, log } = damaged();
    const [first = '', second] = await segmentsIn(log);
    rmSync(first);
    const { damage } = await verified(path);
    expect(damage).toMatchObject([{ kind: 'segment-missing', path: second }]);
    expect(damage[0]?.problem).toContain('begins at offset 0, but there is no segment before');
  });

  test('a segment in the middle is missing', async () => {
    const { path, log } = damaged();
    const [, second = '', third] = await segmentsIn(log);
    rmSync(second);
    const { damage } = await verified(path);
    expect(damage).toMatchObject([{ kind: 'segment-missing', path: third }]);
  });

  test('the last segment is missing', async () => {
    const { path, log } = damaged();
    rmSync((await segmentsIn(log)).at(-1) ?? '');
    const { damage } = await verified(path);
    expect(damage).toMatchObject([{ kind: 'segment-missing', path: log }]);
  });

  test('all segments are missing', async () => {
    const { path, log } = damaged();
    for (const segment of await segmentsIn(log)) rmSync(segment);
    expect((await verified(path)).damage).toContainEqual(
      expect.objectContaining({ kind: 'segment-missing' }),
    );
  });

  test('the last segment ends before its checkpoint', async () => {
    const { path, log } = damaged();
    const last = (await segmentsIn(log)).at(-1) ?? '';
    const { size } = statSync(last);
    truncateSync(last, size - 10);
    const { damage } = await verified(path);
    expect(damage).toContainEqual(
      expect.objectContaining({ kind: 'segment-short', path: last, position: size - 10 }),
    );
  });

  test('a sealed segment lost its end', async () => {
    const { path, log } = damaged();
    const [, second = '', third] = await segmentsIn(log);
    truncateSync(second, batchPositions(second).at(-1));
    const { damage } = await verified(path);
    const missing = { kind: 'segment-missing', path: third };
    expect(damage).toContainEqual(expect.objectContaining(missing));
  });

  test('a segment before a gap lost its end', async () => {
    const { path, log } = damaged();
    const segments = await segmentsIn(log);
    const next = segments.findIndex((segment) => Number(basename(segment, '.log')) > 240);
    const before = segments[next - 1] ?? '';
    truncateSync(before, batchPositions(before).at(-1));
    const missing = { kind: 'segment-missing', path: segments[next] };
    expect((await verified(path)).damage).toContainEqual(expect.objectContaining(missing));
  });

  test('zeros lie where data was', async () => {
    const { path, log } = damaged();
    const last = (await segmentsIn(log)).at(-1) ?? '';
    const bytes = readFileSync(last);
    const position = batchPositions(last).at(-1) ?? 0;
    writeFileSync(last, bytes.fill(0, position));
    const { damage } = await verified(path);
    expect(damage).toMatchObject([{ kind: 'batch', path: last, position }]);
  });

  test('a segment overlaps another', async () => {
    const { path, log } = damaged();
    const [first = ''] = await segmentsIn(log);
    const stray = join(log, logFileName(5));
    cpSync(first, stray);
    const { damage } = await verified(path);
    expect(damage[0]).toMatchObject({ kind: 'segment-missing', path: stray });
    expect(damage[0]?.problem).toContain('begins at offset 5');
  });

  test('there is data behind the checkpoint of a clean stop', async () => {
    const { path, log } = damaged();
    const last = (await segmentsIn(log)).at(-1) ?? '';
    const bytes = readFileSync(last);
    writeFileSync(last, Buffer.concat([bytes, makeBatch()]));
    const { damage } = await verified(path);
    expect(damage).toMatchObject([{ kind: 'segment-extra', position: bytes.length }]);
  });

  test('the checkpoint says another offset than the log', async () => {
    const { path, log } = damaged();
    const checkpoint = await CheckpointFile.load(join(log, 'checkpoint'));
    const { endOffset = 0 } = checkpoint.current ?? {};
    await checkpoint.update({ endOffset: endOffset + 1 });
    expect((await verified(path)).damage).toMatchObject([
      { kind: 'checkpoint', problem: expect.stringContaining(`but ${endOffset} does`) },
    ]);
  });

  test('the checkpoint is missing', async () => {
    const { path, log } = damaged();
    rmSync(join(log, 'checkpoint'));
    expect((await verified(path)).damage).toMatchObject([
      { kind: 'checkpoint', problem: expect.stringContaining('there is none') },
    ]);
  });

  test('epochs.json is missing, and so nobody knows the gaps', async () => {
    const { path, log } = damaged();
    rmSync(join(log, 'epochs.json'));
    expect((await verified(path)).damage[0]).toMatchObject({
      kind: 'epochs',
      problem: expect.stringContaining('it was lost'),
    });
  });

  test('a topic has a partition that topic.json does not know, and two have one name', async () => {
    const { path } = damaged();
    const topic = join(path, 'topics', sample.topicId);
    cpSync(join(topic, '0'), join(topic, '1'), { recursive: true });
    const twin = join(path, 'topics', 'f'.repeat(32));
    mkdirSync(twin);
    cpSync(join(topic, 'topic.json'), join(twin, 'topic.json'));
    const { damage } = await verified(path);
    expect(damage.map(({ kind }) => kind).sort()).toEqual(['partition-directory', 'topic-file']);
  });

  test('meta.json of a newer release is no damage, but cannot be judged', async () => {
    const { path } = damaged();
    const meta = join(path, 'meta.json');
    await writeJsonFile(meta, { ...((await readJsonFile(meta)) as object), formatVersion: 99 });
    await expect(verified(path)).rejects.toThrow('use the release that wrote it');
  });

  test('a segment full of damage is told of in a few lines', async () => {
    const path = temporaryDirectory();
    const { storage, log } = await makeSample(path, {}, { 'segment.bytes': '1048576' });
    await storage.close();
    const [segment = ''] = await segmentsIn(log);
    for (const position of batchPositions(segment)) flip(segment, position + 30);
    const { damage, findings } = await verified(path);
    expect(damage).toHaveLength(20);
    expect(findings.at(-1)).toMatchObject({ problem: '40 more findings of this kind' });
  });
});
