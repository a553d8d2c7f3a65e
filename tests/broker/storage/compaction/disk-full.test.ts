import { execFileSync } from 'node:child_process';
import { statfs, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { filesIn } from '../../../support/storage.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { cleanerFor, CompactedTopic } from './compacted-topic.js';
import type { StoredRecord } from './segment-files.js';

const MiB = 1024 * 1024;

const cleanUp: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** A disk of its own, in memory; undefined where this user may not mount one. */
async function mountSmallDisk(): Promise<string | undefined> {
  const directory = await makeTempDir();
  cleanUp.push(directory.remove);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', directory.path], {
      stdio: 'ignore',
    });
  } catch {
    return undefined;
  }
  cleanUp.push(() => {
    execFileSync('umount', [directory.path]);
  });
  return directory.path;
}

test('a disk that is full while a log is compacted leaves it as it was', async () => {
  const disk = await mountSmallDisk();
  if (disk === undefined) {
    process.stdout.write('skipped: mounting a small disk needs root\n');
    return;
  }
  const topic = await CompactedTopic.create(
    join(disk, 'data'),
    { config: { cleanerIntervalMs: 1_000, cleanerBytesPerSecond: 2 ** 40 } },
    { 'segment.bytes': String(4 * MiB) },
  );
  cleanUp.push(() => topic.storage.close());
  const value = 'x'.repeat(100_000);
  for (let i = 0; i < 70; i += 1) {
    const key = i % 5 === 0 ? 'same' : `k${i}`;
    await topic.append({ records: [{ key, value: `${i} ${value}` }] });
  }
  await topic.log.seal();
  const before = await topic.read(0, 4 * MiB);
  const files = await filesIn(topic.log.directory, '');
  const cleaner = cleanerFor(topic.storage);
  cleanUp.push(() => cleaner.close());

  const ballast = join(disk, 'ballast');
  const { bavail, bsize } = await statfs(disk);
  await writeFile(ballast, Buffer.alloc(bavail * bsize - MiB));
  await cleaner.tick();
  expect(await topic.read(0, 4 * MiB)).toEqual(before);
  expect(await filesIn(topic.log.directory, '')).toEqual(files);
  expect(topic.log.failure).toBeUndefined();

  await unlink(ballast);
  topic.storage.clock.advance(2_000);
  await cleaner.tick();
  const last = new Map(before.map((record: StoredRecord) => [record.key, record]));
  const expected = before.filter((record) => last.get(record.key) === record);
  expect(expected.length).toBeLessThan(before.length);
  expect(await topic.read(0, 4 * MiB)).toEqual(expected);
});
