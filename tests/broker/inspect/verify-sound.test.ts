import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Finding } from '../../../broker/src/inspect/findings.js';
import { CheckpointFile } from '../../../broker/src/storage/checkpoint.js';
import { cleanedFileName } from '../../../broker/src/storage/compaction/manifest.js';
import { chunksOf, makeBatch } from '../../support/batches.js';
import {
  crashCopy,
  createTopic,
  openTestStorage,
  partitionOf,
  persistKinds,
} from '../../support/storage.js';
import { CompactedTopic, logOf } from '../storage/compaction/compacted-topic.js';
import { records } from '../storage/compaction/segment-files.js';
import { afterTest, temporaryDirectory } from '../support/temporary.js';
import { appendTo, fill, makeSample, segmentsIn, verified } from './sample-data.js';

const kindsOf = (findings: readonly Finding[]): string[] => findings.map(({ kind }) => kind);

/** Every file below a directory with its content, to see that nothing was written. */
function contentOf(path: string): Map<string, string> {
  const names = readdirSync(path, { recursive: true }) as string[];
  const files = names.filter((name) => statSync(join(path, name)).isFile());
  return new Map(files.map((name) => [name, readFileSync(join(path, name), 'latin1')]));
}

describe('a data directory without damage', () => {
  test.each(persistKinds)('closed in good order by %s has no findings', async (kind) => {
    const path = temporaryDirectory();
    const { storage } = await makeSample(path, { kind });
    await createTopic(storage, {}, 'idle', 3);
    await storage.close();
    const before = contentOf(path);
    const { cleanStop, clusterId, findings, topics } = await verified(path);
    expect(findings).toEqual([]);
    expect([cleanStop, clusterId]).toEqual([true, storage.dataDir.clusterId]);
    expect(topics).toMatchObject([
      { topic: 'idle', partitions: 3, segments: 0, records: 0 },
      { topic: 't', partitions: 1, batches: 60, records: 240 },
    ]);
    const sizes = (await segmentsIn(join(path, 'topics', topics[1]?.topicId ?? '', '0'))).map(
      (segment) => statSync(segment).size,
    );
    expect(sizes.length).toBeGreaterThan(3);
    expect(topics[1]).toMatchObject({
      segments: sizes.length,
      bytes: sizes.reduce((sum, size) => sum + size, 0),
    });
    expect(contentOf(path)).toEqual(before);
  });

  test.each(persistKinds)('left by a killed broker on %s has none either', async (kind) => {
    const { storage } = await makeSample(temporaryDirectory(), { kind });
    afterTest(() => storage.close());
    const copy = await crashCopy(storage.dataDir.path);
    afterTest(() => copy.remove());
    const { cleanStop, findings, topics } = await verified(copy.path);
    expect([cleanStop, findings]).toEqual([false, []]);
    expect(topics).toMatchObject([{ batches: 60, records: 240 }]);
  });

  test('with the gaps that unclean stops leave has none', async () => {
    const path = temporaryDirectory();
    const { storage } = await makeSample(path);
    await storage.drop();
    for (let round = 1; round <= 3; round += 1) {
      const again = await openTestStorage(path);
      await fill(partitionOf(again), 5, 60 + (round - 1) * 5);
      expect(logOf(partitionOf(again)).leaderEpoch).toBe(round);
      await (round === 3 ? again.close() : again.drop());
    }
    const { damage, topics } = await verified(path);
    expect(damage).toEqual([]);
    expect(topics).toMatchObject([{ batches: 75 }]);
  });

  test('with deleted records, compacted, and restarted has none', async () => {
    const path = temporaryDirectory();
    const topic = await CompactedTopic.create(path, {}, { 'cleanup.policy': 'compact,delete' });
    for (let round = 0; round < 40; round += 1) {
      const batch = records(`a=${round} b=${round} c=${'x'.repeat(300)} only${round}=1 d`);
      await topic.append({ records: batch, compression: round % 2 === 0 ? 'zstd' : 'none' });
    }
    await topic.compact();
    await topic.append({ records: records('z=1') });
    await topic.log.removeBefore(100, 'a test');
    await topic.restart();
    expect(topic.log.cleanedTo).toBeGreaterThan(0);
    await topic.append({ records: records('a=x') });
    await topic.storage.close();
    const { findings, topics } = await verified(path);
    expect(findings).toEqual([]);
    expect(topics[0]?.records).toBeLessThan(202);
  });

  test('with gaps between segments that compaction left has none', async () => {
    const path = temporaryDirectory();
    const topic = await CompactedTopic.create(path);
    for (let round = 0; round < 30; round += 1) {
      const kept = [1, 2, 3].map((n) => `u${round}.${n}=${'x'.repeat(1_000)}`);
      for (const record of kept) await topic.append({ records: records(record) });
      await topic.append({ records: records(`a=${round}`) });
    }
    await topic.compact();
    await topic.append({ records: records('z=1') });
    await topic.storage.close();
    const { findings, topics } = await verified(path);
    expect(findings).toEqual([]);
    expect(topics).toMatchObject([{ records: 92 }]);
    const manifest = join(path, 'topics', topics[0]?.topicId ?? '', '0', 'compaction.json');
    renameSync(manifest, `${manifest}.gone`);
    expect(kindsOf((await verified(path)).damage)).toEqual(['compaction']);
    renameSync(`${manifest}.gone`, manifest);
    const lost = topic.log.sealedSegments()[4];
    renameSync(lost?.logPath ?? '', `${lost?.logPath}.gone`);
    const { damage } = await verified(path);
    expect(kindsOf(damage)).toEqual(['segment-missing']);
    expect(damage[0]?.path).toBe(lost?.logPath);
  });

  test('whose offsets of one topic are asked for tells of that one', async () => {
    const path = temporaryDirectory();
    const { storage } = await makeSample(path);
    await createTopic(storage, {}, 'other');
    await storage.close();
    const { topics } = await verified(path, 'other');
    expect(topics.map(({ topic }) => topic)).toEqual(['other']);
    await expect(verified(path, 'none')).rejects.toThrow('has no topic "none"');
  });
});

describe('what the broker deals with by itself is a note', () => {
  test('a tail that was not synced, and what lies behind it', async () => {
    const { storage, partition } = await makeSample(temporaryDirectory());
    afterTest(() => storage.close());
    const copy = await crashCopy(storage.dataDir.path);
    afterTest(() => copy.remove());
    const log = join(copy.path, 'topics', partition.topicId, '0');
    const last = (await segmentsIn(log)).at(-1) ?? '';
    const end = partition.log?.lastSegment?.sizeBytes ?? 0;
    const bytes = readFileSync(last);
    bytes.fill(0x5a, end, end + 100);
    writeFileSync(last, bytes);
    const stray = join(log, '00000000000000009999.log');
    writeFileSync(stray, makeBatch());
    const { damage, findings } = await verified(copy.path);
    expect(damage).toEqual([]);
    expect(findings).toMatchObject([
      { kind: 'tail', path: last, position: end, advice: expect.stringContaining('.cut') },
      { kind: 'tail', path: stray, problem: expect.stringContaining('behind the end of the log') },
    ]);
    // And so it is.
    const again = await openTestStorage(copy.path);
    await again.close();
    const after = await verified(copy.path);
    expect(after.damage).toEqual([]);
    const cut = after.findings.filter(({ kind }) => kind === 'leftover');
    expect(cut.map((found) => found.path).sort()).toEqual(
      [`${last}.${end}.cut`, `${stray}.cut`].sort(),
    );
  });

  test('zeros behind a sealed segment, from a crash before its trim', async () => {
    const path = temporaryDirectory();
    const { storage, log } = await makeSample(path);
    await storage.close();
    const [first = ''] = await segmentsIn(log);
    const { size } = statSync(first);
    appendTo(first, Buffer.alloc(4096));
    const { findings } = await verified(path);
    expect(findings).toMatchObject([{ severity: 'note', path: first, position: size }]);
  });

  test('leftovers and files that are not ours, by name', async () => {
    const path = temporaryDirectory();
    const { storage, log, partition } = await makeSample(path);
    await storage.close();
    const topics = join(path, 'topics');
    const topic = join(topics, partition.topicId);
    const left = [
      join(path, 'notes.txt'),
      join(topics, `${'a'.repeat(32)}.new`),
      join(topics, `${'b'.repeat(32)}.deleted`),
      join(topic, '7'),
      join(log, cleanedFileName(0)),
      join(log, '00000000000000000000.log.4711.cut'),
      join(log, '00000000000000000005.index'),
      join(log, 'producers.json.tmp'),
      join(log, 'stray'),
    ];
    for (const file of left) {
      if (/new|deleted|7$/.test(file)) mkdirSync(file);
      else writeFileSync(file, 'x');
    }
    const { damage, findings } = await verified(path);
    expect(damage).toEqual([]);
    expect(findings.map((found) => found.path).sort()).toEqual(left.sort());
  });

  test('a segment below the start of the log, from a crash before its removal', async () => {
    const path = temporaryDirectory();
    const { storage, log } = await makeSample(path);
    await storage.close();
    const [first = '', second = ''] = await segmentsIn(log);
    const checkpoint = await CheckpointFile.load(join(log, 'checkpoint'));
    await checkpoint.update({ startOffset: Number(basename(second, '.log')) });
    const { damage, findings } = await verified(path);
    expect(damage).toEqual([]);
    expect(findings).toMatchObject([{ kind: 'leftover', path: first }]);
  });

  test('an index that is gone', async () => {
    const path = temporaryDirectory();
    const { storage, log } = await makeSample(path);
    await storage.close();
    const index = (await segmentsIn(log))[0]?.replace('.log', '.index') ?? '';
    renameSync(index, join(path, 'elsewhere'));
    const { findings } = await verified(path);
    expect(findings.find(({ kind }) => kind === 'index')).toMatchObject({
      ...{ severity: 'note', path: index },
    });
  });

  test('a compaction that a crash interrupted, before the rename and after', async () => {
    for (const step of ['pending', 'renamed'] as const) {
      const path = temporaryDirectory();
      const topic = await CompactedTopic.create(path);
      for (let round = 0; round < 30; round += 1) {
        await topic.append({ records: records(`a=${round} b=${'x'.repeat(400)}`) });
      }
      let copy: Awaited<ReturnType<typeof crashCopy>> | undefined;
      await topic.compact({
        onStep: async (reached) => {
          if (reached === step) copy ??= await crashCopy(path);
        },
      });
      afterTest(() => topic.storage.close());
      if (copy === undefined) throw new Error('nothing was compacted');
      afterTest(copy.remove);
      const { damage, findings } = await verified(copy.path);
      expect(damage).toEqual([]);
      expect(kindsOf(findings)).toContain('compaction');
    }
  });
});

describe('a directory that cannot be judged', () => {
  test('is in use', async () => {
    const path = temporaryDirectory();
    const storage = await openTestStorage(path);
    afterTest(() => storage.close());
    await expect(verified(path)).rejects.toThrow('is in use by a broker; stop that one first');
  });

  test('is none, or not there', async () => {
    const path = temporaryDirectory();
    await expect(verified(path)).rejects.toThrow('is no data directory of millrace');
    await expect(verified(join(path, 'none'))).rejects.toThrow('cannot be read (ENOENT)');
  });

  test('keeps brokers off while it is verified, and no longer', async () => {
    const path = temporaryDirectory();
    const { storage, partition } = await makeSample(path);
    await partition.append(chunksOf(makeBatch()), -1);
    await storage.close();
    const running = verified(path);
    await running;
    await (await openTestStorage(path)).close();
  });
});
