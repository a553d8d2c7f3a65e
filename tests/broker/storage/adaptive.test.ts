import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ByteChunks } from '@millrace/protocol';
import { AdaptivePersistence } from '../../../broker/src/storage/persistence/adaptive.js';
import { openStorageFile } from '../../../broker/src/storage/persistence/file.js';
import type { StorageFile } from '../../../broker/src/storage/persistence/file.js';
import { systemError } from '../../support/faulty-persistence.js';
import { nativeOrThrow } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';
import { withMapping, withMethods } from '../../support/with-methods.js';

const MIB = 1024 * 1024;
const capacityBytes = 64 * MIB;

/** Bytes that differ from place to place. */
const content = Buffer.from(
  new Uint32Array(capacityBytes / 4).map((_, i) => Math.imul(i, 2_654_435_761)).buffer,
);

interface Opened {
  readonly file: StorageFile;
  /** What was asked of the file: `map`, `unmap`, `write FROM TO` and `copy FROM TO` (joined), `fdatasync`, `msync`. */
  readonly asked: string[];
  /** Appends so much in pieces of 300 kB, 64 MiB a second, each populated as far as wanted before the next. */
  readonly append: (bytes: number) => Promise<void>;
  readonly sync: () => Promise<void>;
  readonly passes: (ms: number) => void;
  readonly troubles: { mapFails: boolean; writeFails: boolean; cpuMicroseconds: number };
}

/** Notes a range, as one with the range before it where that is possible. */
function note(asked: string[], how: string, from: number, bytes: number): void {
  const [lastHow, lastFrom, lastTo] = asked.at(-1)?.split(' ') ?? [];
  const joins = lastHow === how && Number(lastTo) === from;
  if (joins) asked.pop();
  asked.push(`${how} ${joins ? lastFrom : from} ${from + bytes}`);
}

const lengthOf = (chunks: readonly Uint8Array[]): number =>
  chunks.reduce((sum, chunk) => sum + chunk.length, 0);

async function withSegment(work: (segment: Opened) => Promise<void>): Promise<void> {
  const dir = await makeTempDir();
  const real = openStorageFile(nativeOrThrow(), join(dir.path, 'a'), 'create');
  const asked: string[] = [];
  const troubles = { mapFails: false, writeFails: false, cpuMicroseconds: 0 };
  let populated: Promise<unknown> = Promise.resolve();
  const mapped = withMapping(
    real,
    (mapping) => ({
      populate: (from, bytes) => {
        const populating = mapping
          .populate(from, bytes)
          .then(() => (troubles.cpuMicroseconds * bytes) / (2 * MIB));
        populated = populating;
        return populating;
      },
      write: (chunks, position) => {
        note(asked, 'copy', position, lengthOf(chunks));
        mapping.write(chunks, position);
      },
      sync: (from, bytes) => {
        asked.push('msync');
        return mapping.sync(from, bytes);
      },
      unmap: () => {
        asked.push('unmap');
        mapping.unmap();
      },
    }),
    {
      write: (chunks, position) => {
        if (troubles.writeFails) {
          real.write([Buffer.alloc(1)], position);
          throw systemError('EIO');
        }
        note(asked, 'write', position, lengthOf(chunks));
        real.write(chunks, position);
      },
      sync: () => {
        asked.push('fdatasync');
        return real.sync();
      },
    },
  );
  const { native } = mapped;
  const file = withMethods(mapped, {
    native: withMethods(native, {
      map: (length, access) => {
        asked.push('map');
        if (troubles.mapFails || native === undefined) throw systemError('ENOMEM');
        return native.map(length, access);
      },
    }),
  });
  let nowMs = 0;
  const persistence = new AdaptivePersistence({
    ...{ now: () => nowMs, growStepMaxBytes: 16 * MIB, prefaultLeadBytes: 2 * MIB },
    ...{ prefaultBudgetBytes: 64 * MIB, hugePagesFromBytes: 4 * MIB },
  });
  const writer = persistence.openSegment(file, capacityBytes, 0);
  let end = 0;
  let synced = 0;
  try {
    await work({
      ...{ file: real, asked, troubles },
      append: async (bytes) => {
        for (const to = end + bytes; end < to;) {
          const next = Math.min(end + 300_000, to);
          nowMs += ((next - end) / (64 * MIB)) * 1000;
          writer.append(new ByteChunks([content.subarray(end, next)]), end);
          end = next;
          await populated;
          await new Promise(setImmediate);
        }
      },
      sync: async () => {
        await writer.sync(synced, end);
        synced = end;
      },
      passes: (ms) => {
        nowMs += ms;
      },
    });
  } finally {
    writer.finish(end);
    const seen = Buffer.alloc(end);
    real.read(seen, 0);
    expect(real.size()).toBe(end);
    expect(seen.equals(content.subarray(0, end))).toBe(true);
    real.close();
    await dir.remove();
  }
}

describe('a segment', () => {
  test('that gets little is not mapped', async () => {
    await withSegment(async ({ asked, append, sync }) => {
      for (let round = 0; round < 5; round += 1) {
        await append(3 * MIB);
        await sync();
      }
      expect(new Set(asked.map((each) => each.split(' ')[0]))).toEqual(
        new Set(['write', 'fdatasync']),
      );
    });
  });

  test('that gets much is copied to from where its huge pages begin, and until they end', async () => {
    await withSegment(async ({ asked, append, sync }) => {
      await append(12 * MIB);
      await sync();
      // The append that reaches beyond the boundary is split there.
      expect(asked).toEqual([
        'write 0 4200000',
        'map',
        'write 4200000 6291456',
        `copy 6291456 ${12 * MIB}`,
        'msync',
      ]);
      asked.length = 0;
      await append(MIB);
      await sync();
      expect(asked).toEqual([`copy ${12 * MIB} ${13 * MIB}`, 'msync', 'unmap']);
      asked.length = 0;
      await append(MIB);
      await sync();
      expect(asked).toEqual([`write ${13 * MIB} ${14 * MIB}`, 'fdatasync']);
    });
  });

  test('whose huge pages get dear is copied to only where they are', async () => {
    await withSegment(async ({ asked, append, sync, troubles }) => {
      await append(8 * MIB);
      troubles.cpuMicroseconds = 501;
      await append(12 * MIB);
      await sync();
      const copies = asked.filter((each) => each.startsWith('copy'));
      // Those that were found dear are there as well.
      expect(copies).toEqual([`copy ${6 * MIB} ${12 * MIB}`]);
      expect(asked.slice(-3)).toEqual([`write ${12 * MIB} ${20 * MIB}`, 'msync', 'unmap']);
    });
  });

  test('whose huge pages are dear is not copied to, and they are tried again later', async () => {
    await withSegment(async ({ asked, append, sync, passes, troubles }) => {
      troubles.cpuMicroseconds = 501;
      await append(20 * MIB);
      expect(asked.filter((each) => each.startsWith('copy'))).toEqual([]);
      await sync();
      expect(asked.slice(-2)).toEqual(['msync', 'unmap']);
      asked.length = 0;
      troubles.cpuMicroseconds = 499;
      await append(10 * MIB);
      expect(asked).toEqual([`write ${20 * MIB} ${30 * MIB}`]);
      await sync();
      passes(10_000);
      await append(10 * MIB);
      expect(asked).toContain('map');
      expect(asked.at(-1)).toBe(`copy ${36 * MIB} ${40 * MIB}`);
    });
  });

  test('that cannot be mapped is written, and not asked again', async () => {
    await withSegment(async ({ asked, append, sync, troubles }) => {
      troubles.mapFails = true;
      await append(12 * MIB);
      await sync();
      await append(12 * MIB);
      await sync();
      expect(asked).toEqual([
        ...['write 0 4200000', 'map', `write 4200000 ${12 * MIB}`, 'fdatasync'],
        ...[`write ${12 * MIB} ${24 * MIB}`, 'fdatasync'],
      ]);
    });
  });

  test('has nothing of an append that failed, in whichever of its pieces', async () => {
    await withSegment(async ({ file, asked, append, sync, troubles }) => {
      const failing = async (end: number): Promise<void> => {
        troubles.writeFails = true;
        await expect(append(300_000)).rejects.toMatchObject({ code: 'EIO' });
        expect(file.size()).toBe(end);
        troubles.writeFails = false;
      };
      await append(MIB);
      await failing(MIB);
      await append(7 * MIB);
      troubles.cpuMicroseconds = 501;
      await append(4 * MIB - 100);
      // Of the next one 100 bytes are copied, and the rest was to be written.
      await failing(12 * MIB - 100);
      expect(asked.at(-1)).toBe(`copy ${6 * MIB} ${12 * MIB}`);
      await append(300_000);
      await sync();
    });
  });
});
