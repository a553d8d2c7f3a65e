import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  emptyManifest,
  readManifest,
  recoverCompaction,
  writeManifest,
} from '../../../../broker/src/storage/compaction/manifest.js';
import type { CompactionManifest } from '../../../../broker/src/storage/compaction/manifest.js';
import { writeJsonFile } from '../../../../broker/src/storage/json-file.js';
import { indexFileName, logFileName } from '../../../../broker/src/storage/segment-name.js';
import { makeTempDir } from '../../../support/temp-dir.js';

let dir: Awaited<ReturnType<typeof makeTempDir>>;

beforeEach(async () => {
  dir = await makeTempDir();
});
afterEach(() => dir.remove());

const manifest: CompactionManifest = {
  ...{ cleanedTo: 10, dirtyFrom: 10, passes: [{ to: 10, endedAtMs: 5 }], firstTombstone: 3 },
  segments: [[0, 10]],
};
/** While a swap is pending, its inputs are listed as well. */
const swapping: CompactionManifest = {
  ...manifest,
  segments: [
    [0, 10],
    [10, 20],
    [20, 30],
    [30, 40],
  ],
};
const pending = { base: 10, end: 40, bytes: 4 };

const put = (name: string, content = 'old file'): Promise<void> =>
  writeFile(join(dir.path, name), content);
const segments = async (): Promise<string[]> =>
  (await readdir(dir.path)).filter((name) => name !== 'compaction.json').sort();

async function putSegments(...bases: readonly number[]): Promise<void> {
  for (const base of bases) {
    await put(logFileName(base));
    await put(indexFileName(base));
  }
}
const filesOf = (...bases: readonly number[]): string[] =>
  bases.flatMap((base) => [indexFileName(base), logFileName(base)]).sort();

describe('the recovery of a compaction', () => {
  test('finds nothing where there is no directory, or nothing was compacted', async () => {
    expect(await recoverCompaction(join(dir.path, 'none'))).toMatchObject({ cleanedTo: 0 });
    await putSegments(0, 10);
    expect(await recoverCompaction(dir.path)).toMatchObject({ cleanedTo: 0 });
    expect(await segments()).toEqual(filesOf(0, 10));
    expect(await readManifest(dir.path)).toEqual(emptyManifest);
  });

  test('removes cleaned files that were not about to be swapped in', async () => {
    await putSegments(0, 10);
    await put(`${logFileName(0)}.cleaned`);
    await put(`${indexFileName(0)}.cleaned`);
    await writeManifest(dir.path, manifest);
    expect(await recoverCompaction(dir.path)).toMatchObject({ cleanedTo: 10 });
    expect(await segments()).toEqual(filesOf(0, 10));
    expect(await readManifest(dir.path)).toEqual(manifest);
  });

  test('keeps the old segments while the cleaned file has its own name', async () => {
    await putSegments(0, 10, 20, 30, 40);
    await put(`${logFileName(10)}.cleaned`, 'new!');
    await writeManifest(dir.path, { ...swapping, pending });
    expect(await recoverCompaction(dir.path)).toMatchObject({ cleanedTo: 10 });
    expect(await segments()).toEqual(filesOf(0, 10, 20, 30, 40));
    expect(await readManifest(dir.path)).toEqual(manifest);
  });

  test('forgets the swap before it removes the file that says it was not made', async () => {
    await putSegments(10, 20, 40);
    // A directory cannot be unlinked: the recovery ends there, as by a crash.
    await mkdir(join(dir.path, `${logFileName(10)}.cleaned`));
    await writeManifest(dir.path, { ...swapping, pending });
    await expect(recoverCompaction(dir.path)).rejects.toThrow();
    expect(await readManifest(dir.path)).toEqual(manifest);
    expect(await segments()).toEqual(expect.arrayContaining(filesOf(10, 20, 40)));
  });

  test('removes the old segments once the cleaned file has been renamed', async () => {
    await putSegments(0, 10, 20, 30, 40);
    await put(logFileName(10), 'new!');
    await put(`${indexFileName(10)}.cleaned`);
    await writeManifest(dir.path, { ...swapping, pending });
    expect(await recoverCompaction(dir.path)).toMatchObject({ cleanedTo: 40 });
    expect(await segments()).toEqual(filesOf(0, 10, 40));
    expect(await readManifest(dir.path)).toEqual({
      ...manifest,
      cleanedTo: 40,
      segments: [
        [0, 10],
        [10, 40],
      ],
    });
    expect(await recoverCompaction(dir.path)).toMatchObject({ cleanedTo: 40 });
  });

  test('ends a swap whose result was removed by retention', async () => {
    await putSegments(30, 40);
    await writeManifest(dir.path, { ...swapping, pending });
    expect(await recoverCompaction(dir.path)).toMatchObject({ cleanedTo: 40 });
    expect(await segments()).toEqual(filesOf(40));
  });

  test('touches nothing when what is there cannot be the cleaned file', async () => {
    await putSegments(0, 10, 20, 30, 40);
    await writeManifest(dir.path, { ...swapping, pending });
    await expect(recoverCompaction(dir.path)).rejects.toMatchObject({ problem: 'damaged' });
    expect(await segments()).toEqual(filesOf(0, 10, 20, 30, 40));
  });

  test('takes a manifest from before segments were listed', async () => {
    const { cleanedTo, dirtyFrom, passes, firstTombstone } = manifest;
    const before = { cleanedTo, dirtyFrom, passes, firstTombstone };
    await writeJsonFile(join(dir.path, 'compaction.json'), before);
    expect(await readManifest(dir.path)).toEqual({ ...manifest, segments: [] });
  });

  test('refuses one whose list of segments is none', async () => {
    const bad = { ...manifest, segments: [[10, 10]] };
    await writeJsonFile(join(dir.path, 'compaction.json'), bad);
    await expect(recoverCompaction(dir.path)).rejects.toMatchObject({ problem: 'damaged' });
  });

  test.each([
    ['no JSON', 'x'],
    ['another checksum', '{"crc32c":"00000000","content":{}}'],
  ])('refuses a manifest that is damaged: %s', async (_, content) => {
    await put('compaction.json', content);
    await expect(recoverCompaction(dir.path)).rejects.toMatchObject({ problem: 'damaged' });
  });
});
