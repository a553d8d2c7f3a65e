import { readdir, rm } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { inlineRunner } from '../../../../broker/src/storage/compaction/runner.js';
import {
  createRunner,
  ThreadRunner,
} from '../../../../broker/src/storage/compaction/thread-runner.js';
import type {
  CleanedGroup,
  CompactionJob,
  CompactionResult,
} from '../../../../broker/src/storage/compaction/job.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { records, SegmentFiles } from './segment-files.js';

/** A thread loads the compiled entry only. */
const entry = new URL('../../../../broker/dist/storage/compaction/worker.js', import.meta.url);

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let log: SegmentFiles;
let runner: ThreadRunner;

beforeEach(async () => {
  dir = await makeTempDir();
  log = new SegmentFiles(dir.path);
  runner = new ThreadRunner(entry);
  for (let i = 0; i < 10; i += 1) {
    await log.add({ records: records(`a=${i} b${i}=1`), compression: 'zstd' });
  }
});
afterEach(async () => {
  await runner.close();
  await dir.remove();
});

interface Outcome {
  readonly result: CompactionResult;
  readonly groups: readonly CleanedGroup[];
}

async function outcome(change: Partial<CompactionJob>, of = runner): Promise<Outcome> {
  const groups: CleanedGroup[] = [];
  const result = await of.run(log.job(change), {
    onGroup: (group) => {
      groups.push(group);
      return Promise.resolve();
    },
  });
  return { result, groups };
}

test('does on a thread what is done without one, one job after the other', async () => {
  const groups: CleanedGroup[] = [];
  const result = await inlineRunner.run(log.job({ segmentBytes: 400 }), {
    onGroup: (group) => Promise.resolve(void groups.push(group)),
  });
  const expected = { result, groups };
  expect(groups.length).toBeGreaterThan(1);
  expect(await outcome({ segmentBytes: 400 })).toEqual(expected);
  expect(await outcome({ segmentBytes: 400 })).toEqual(expected);
});

test('passes errors on as what they are', async () => {
  await rm(log.inputs[3]?.path ?? '');
  await expect(outcome({})).rejects.toMatchObject({ code: 'ENOENT' });
  const [first] = log.inputs;
  if (first === undefined) throw new Error('there is no segment');
  const inputs = [{ ...first, sizeBytes: first.sizeBytes + 1 }];
  await expect(outcome({ inputs })).rejects.toMatchObject({ errorName: 'CORRUPT_LOG' });
});

test('passes on what the broker says of a group', async () => {
  const refused = runner.run(log.job(), {
    onGroup: () => Promise.reject(new Error('it is not there any more')),
  });
  await expect(refused).rejects.toThrow('it is not there any more');
});

test('stops a job at once, at whatever rate it runs', async () => {
  const abort = new AbortController();
  const running = runner.run(log.job({ bytesPerSecond: 1 }), {
    onGroup: () => Promise.resolve(),
    signal: abort.signal,
  });
  abort.abort(new Error('the broker is stopping'));
  await expect(running).rejects.toThrow('the broker is stopping');
  expect(runner.isStarted).toBe(false);
  expect(await readdir(dir.path)).toHaveLength(10);
});

test('ends the thread when it is idle, and starts another when there is work', async () => {
  const brief = new ThreadRunner(entry, 1);
  const first = await outcome({}, brief);
  while (brief.isStarted) await setTimeout(1);
  expect(await outcome({}, brief)).toEqual(first);
  await brief.close();
});

test('is not used where the sources run, of which a thread loads nothing', () => {
  expect(createRunner()).toBe(inlineRunner);
  expect(createRunner('file:///broker/dist/storage/compaction/thread-runner.js')).toBeInstanceOf(
    ThreadRunner,
  );
});
