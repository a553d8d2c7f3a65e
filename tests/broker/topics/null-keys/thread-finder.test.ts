import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { inlineFinder } from '../../../../broker/src/topics/null-keys/finder.js';
import {
  createNullKeyFinder,
  ThreadFinder,
} from '../../../../broker/src/topics/null-keys/thread-finder.js';
import { chunksOf, inPieces, rejection } from '../../../support/batches.js';
import { keyedBatch, records } from '../../storage/compaction/segment-files.js';

/** A thread loads the compiled entry only. */
const entry = new URL('../../../../broker/dist/topics/null-keys/worker.js', import.meta.url);
const KiB = 1024;
const MiB = 1024 * KiB;

let finder: ThreadFinder;
beforeEach(() => {
  finder = new ThreadFinder(entry);
});
afterEach(() => finder.close());

const good = keyedBatch({ records: records('a=1 b=2'), compression: 'gzip' });
const keyless = keyedBatch({ records: records('a=1 =2'), compression: 'zstd' });

test('finds what is found without a thread, in the order of the calls', async () => {
  const asked = [good, keyless, good].map((batch) => finder.find(inPieces(batch, 7), MiB));
  expect(await Promise.all(asked)).toEqual([undefined, 1, undefined]);
  expect(await inlineFinder.find(chunksOf(keyless), MiB)).toBe(1);
});

test('passes errors on as what they are, and goes on', async () => {
  const malformed = Buffer.from(good);
  malformed.writeInt32BE(9, 57);
  for (const asked of [finder, inlineFinder]) {
    expect((await rejection(asked.find(chunksOf(good), 8))).errorName).toBe('MESSAGE_TOO_LARGE');
    expect((await rejection(asked.find(chunksOf(malformed), MiB))).errorName).toBe(
      'CORRUPT_MESSAGE',
    );
    expect(await asked.find(chunksOf(good), MiB)).toBeUndefined();
  }
});

test('lets the event loop turn while it unpacks', async () => {
  const zeros = '\0'.repeat(4 * MiB);
  const packed = keyedBatch({ records: [{ key: 'a', value: zeros }], compression: 'gzip' });
  expect(packed.length).toBeLessThan(16 * KiB);
  let answered = 0;
  const asked = Array.from({ length: 10 }, () =>
    finder.find(chunksOf(packed), 8 * MiB).then(() => (answered += 1)),
  );
  let turns = 0;
  while (answered < asked.length) {
    await setImmediate();
    turns += 1;
  }
  // Unpacked in these turns there would be about one for each.
  expect(turns).toBeGreaterThan(20 * asked.length);
});

test('says so when there is no thread, and tries again', async () => {
  const broken = new ThreadFinder(new URL('./nowhere.js', import.meta.url));
  for (let i = 0; i < 2; i += 1) {
    const error = await rejection(broken.find(chunksOf(good), MiB));
    expect(error).toMatchObject({ errorName: 'STORAGE_ERROR', retriable: true });
  }
  await broken.close();
});

test('is not used where the sources run, of which a thread loads nothing', () => {
  expect(createNullKeyFinder()).toBe(inlineFinder);
  const compiled = createNullKeyFinder('file:///broker/dist/topics/null-keys/thread-finder.js');
  expect(compiled).toBeInstanceOf(ThreadFinder);
});
