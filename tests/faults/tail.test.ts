import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeSlot } from '../../broker/src/storage/checkpoint.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { openTestStorage } from '../support/storage.js';
import type { PersistKind, TestStorage } from '../support/storage.js';
import { faultLength, faultTimeoutMs } from './support/length.js';
import { makeTailImage, TAIL_BYTES, TailBench } from './tail/tail-bench.js';
import type { TailCase, TailImage } from './tail/tail-bench.js';

const SECTOR_BYTES = 512;
const PAGE_BYTES = 4096;
/** Recovery syncs, which is for nothing here: nobody cuts the power. */
const MEMORY = '/dev/shm';

/** Decision 9: whatever state a crash leaves a tail in, what is recovered is an exact prefix. */
describe('an un-synced tail', () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  const storages: TestStorage[] = [];
  let root: string;
  let image: TailImage;

  beforeAll(async () => {
    root = await mkdtemp(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'millrace-tail-'));
    for (const kind of ['mmap', 'write'] satisfies PersistKind[]) {
      storages.push(await openTestStorage(join(root, kind), { kind }));
    }
    image = await makeTailImage(join(root, 'image'), environmentOf(0), random);
  });

  afterAll(async () => {
    for (const storage of storages) await storage.close();
    await rm(root, { recursive: true });
  });

  const environmentOf = (i: number): TestStorage['environment'] => {
    const storage = storages[i % storages.length];
    if (storage === undefined) throw new Error('there is no storage');
    return storage.environment;
  };

  test(
    'is recovered to an exact prefix wherever it is cut, zeroed or holed',
    async () => {
      const { tailStart } = image;
      const slots = [decodeSlot(image.checkpoint, 0), decodeSlot(image.checkpoint, SECTOR_BYTES)];
      const ceilings = slots.map((slot) =>
        typeof slot === 'object' ? slot.checkpoint.ceiling : 0,
      );
      const directory = join(root, 'image');
      const bench = new TailBench(directory, image, Math.max(...ceilings));
      let done = 0;
      for (const [i, make] of chosen(casesOf(image), faultLength('tail'), random).entries()) {
        const tail = make(i);
        try {
          await bench.run(tail, environmentOf(i));
        } catch (cause) {
          const index = tail.withIndex ? 'with' : 'without';
          const how = `${i % 2 === 0 ? 'mmap' : 'write'}, ${index} an index, seed ${seed}`;
          throw new Error(`a tail ${tail.name} (${how}): ${String(cause)}`, { cause });
        }
        done += 1;
      }
      process.stdout.write(`tails: ${done}, of ${TAIL_BYTES} bytes from byte ${tailStart} on\n`);
      expect(done).toBe(Math.min(faultLength('tail'), casesOf(image).length));
    },
    faultTimeoutMs('tail', 1_000),
  );
});

/** Made when it is its turn, as the i-th: the index is there or not, room behind the data too. */
type MakeCase = (i: number) => TailCase;

function casesOf({ log, tailStart }: TailImage): readonly MakeCase[] {
  const cases: MakeCase[] = [];
  const withIndex = (i: number): boolean => (i >> 1) % 2 === 0;
  for (let at = tailStart; at < log.length; at += 1) {
    cases.push((i) => {
      const cut = log.subarray(0, at);
      // As when the file's length was durable and its data was not; or neither was.
      const ahead =
        (i >> 2) % 2 === 0 ? Buffer.alloc(log.length - at + PAGE_BYTES) : Buffer.alloc(0);
      const content = Buffer.concat([cut, ahead]);
      const how = ahead.length === 0 ? 'cut' : 'cut, and zeros behind,';
      return { name: `${how} at byte ${at}`, content, withIndex: withIndex(i) };
    });
  }
  const without = (from: number, to: number): Buffer => {
    const content = Buffer.from(log);
    return content.fill(0, Math.max(from, tailStart), to);
  };
  for (let at = floor(tailStart, SECTOR_BYTES); at < log.length; at += SECTOR_BYTES) {
    const name = `with zeros in the sector at byte ${at}`;
    const to = Math.min(at + SECTOR_BYTES, log.length);
    cases.push((i) => ({ name, content: without(at, to), withIndex: withIndex(i) }));
  }
  for (let at = floor(tailStart, PAGE_BYTES) + PAGE_BYTES; at < log.length; at += PAGE_BYTES) {
    const name = `with a hole in the page at byte ${at}`;
    const to = Math.min(at + PAGE_BYTES, log.length);
    const hole = { from: at, to };
    cases.push((i) => ({ name, content: without(at, to), hole, withIndex: withIndex(i) }));
  }
  return cases;
}

function floor(position: number, unit: number): number {
  return position - (position % unit);
}

/** All of them, or as many as are wanted by chance: of each kind some. */
function chosen(cases: readonly MakeCase[], count: number, random: () => number): MakeCase[] {
  if (count >= cases.length) return [...cases];
  const special = cases.slice(-(TAIL_BYTES / SECTOR_BYTES + TAIL_BYTES / PAGE_BYTES));
  return Array.from({ length: count }, (_, i) => {
    const from = i % 3 === 0 ? special : cases;
    return from[Math.floor(random() * from.length)] as MakeCase;
  });
}
