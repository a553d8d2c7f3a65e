import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { HUGE_PAGE_BYTES } from '@millrace/native';
import { ByteChunks } from '@millrace/protocol';
import fc from 'fast-check';
import { openStorageFile } from '../../../broker/src/storage/persistence/file.js';
import type { StorageFile } from '../../../broker/src/storage/persistence/file.js';
import { AdaptivePersistence } from '../../../broker/src/storage/persistence/adaptive.js';
import { MmapPersistence } from '../../../broker/src/storage/persistence/mmap.js';
import { systemError } from '../../support/faulty-persistence.js';
import { testSeed } from '../../support/seed.js';
import { nativeOrThrow } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';
import { withMapping } from '../../support/with-methods.js';

const MIB = 1024 * 1024;
const capacityBytes = 64 * MIB;

/** Bytes that differ from place to place, so that one at another place is seen. */
const content = Buffer.from(
  new Uint32Array(12 * MIB).map((_, i) => Math.imul(i, 2_654_435_761)).buffer,
);

/** Calls that end when the test says so. */
class Held {
  readonly #pending: (() => Promise<void>)[] = [];

  hold<Result>(call: () => Promise<Result>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      // Native calls may throw at once.
      this.#pending.push(() => Promise.resolve().then(call).then(resolve, reject));
    });
  }

  async letGo(): Promise<void> {
    for (const call of this.#pending.splice(0)) await call();
  }
}

/** The file with its populating and its syncs held, and with cuts and growth that fail while they are to. */
class HeldFile {
  readonly populating = new Held();
  readonly syncing = new Held();
  /** How often huge pages ended, which is with a cut. */
  cuts = 0;
  cutFails = false;
  isFull = false;
  /** What populating is said to cost for each huge page. */
  cpuMicroseconds = 0;
  /** Bytes that were copied into a mapping. */
  copied = 0;

  over(file: StorageFile): StorageFile {
    return withMapping(
      file,
      (mapping) => ({
        populate: (from, bytes) =>
          this.populating.hold(async () => {
            await mapping.populate(from, bytes);
            return (this.cpuMicroseconds * bytes) / HUGE_PAGE_BYTES;
          }),
        write: (chunks, position) => {
          this.copied += Buffer.concat(chunks).length;
          mapping.write(chunks, position);
        },
        sync: (from, bytes) => {
          // Made at once, as the real one is: the mapping may be gone when it ends.
          const syncing = mapping.sync(from, bytes);
          return this.syncing.hold(() => syncing);
        },
      }),
      {
        truncate: (length) => {
          if (this.cutFails) throw systemError('EIO');
          this.cuts += 1;
          file.truncate(length);
        },
        allocate: (position, length) => {
          if (this.isFull) throw systemError('ENOSPC');
          file.allocate(position, length);
        },
      },
    );
  }
}

test.each([
  { name: 'mmap', Persistence: MmapPersistence },
  { name: 'adaptive', Persistence: AdaptivePersistence },
])(
  'whatever happens when, by $name nothing that was appended is lost by a cut',
  async ({ Persistence }) => {
    const seed = testSeed();
    const kinds = ['append', 'append', 'append', 'sync', 'synced', 'synced', 'populated'] as const;
    const troubles = ['cut fails', 'full', 'dear', 'sound', 'reopen'] as const;
    const action = fc.record({
      what: fc.constantFrom(...kinds, ...kinds, ...troubles),
      bytes: fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 600_000 })),
      afterMs: fc.constantFrom(0, 1, 10_000),
    });
    let cuts = 0;
    let copied = 0;
    let appended = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 80, size: 'max' }), async (actions) => {
        const dir = await makeTempDir();
        const path = join(dir.path, 'a');
        const real = openStorageFile(nativeOrThrow(), path, 'create');
        const held = new HeldFile();
        const file = held.over(real);
        let nowMs = 0;
        const persistence = new Persistence({
          ...{ now: () => nowMs, growStepMaxBytes: 4 * MIB, prefaultLeadBytes: 64 * 1024 },
          ...{ prefaultBudgetBytes: 8 * MIB, hugePagesFromBytes: 50_000 },
        });
        let writer = persistence.openSegment(file, capacityBytes, 0);
        let end = 0;
        const syncs: Promise<void>[] = [];
        const reopen = async (): Promise<void> => {
          await held.syncing.letGo();
          await Promise.all(syncs.splice(0));
          held.cutFails = false;
          const { cuts: cutsBefore } = held;
          writer.finish(end);
          held.cuts = cutsBefore;
          await held.populating.letGo();
          expect(real.size()).toBe(end);
          const seen = Buffer.alloc(end);
          real.read(seen, 0);
          expect(seen.equals(content.subarray(0, end))).toBe(true);
          writer = persistence.openSegment(file, capacityBytes, end);
        };
        try {
          for (const { what, bytes, afterMs } of actions) {
            nowMs += afterMs;
            if (what === 'append') {
              try {
                writer.append(new ByteChunks([content.subarray(end, end + bytes)]), end);
                end += bytes;
              } catch (error) {
                expect(held.isFull).toBe(true);
                expect(error).toMatchObject({ code: 'ENOSPC' });
              }
            } else if (what === 'sync') syncs.push(writer.sync(0, end));
            else if (what === 'synced') await held.syncing.letGo();
            else if (what === 'populated') await held.populating.letGo();
            else if (what === 'reopen') await reopen();
            else {
              held.cutFails = what === 'cut fails';
              held.isFull = what === 'full';
              held.cpuMicroseconds = what === 'dear' ? 10_000 : 0;
            }
            await new Promise(setImmediate);
            expect(real.size()).toBeGreaterThanOrEqual(end);
          }
          held.isFull = false;
          cuts += held.cuts;
          copied += held.copied;
          appended += end;
          await reopen();
        } finally {
          writer.release();
          await held.populating.letGo().catch(() => undefined);
          await held.syncing.letGo().catch(() => undefined);
          await Promise.allSettled(syncs);
          real.close();
          await dir.remove();
        }
      }),
      { seed, numRuns: 60 },
    );
    expect(cuts).toBeGreaterThan(0);
    expect(copied).toBeGreaterThan(0);
    if (Persistence === AdaptivePersistence) expect(copied).toBeLessThan(appended);
  },
);
