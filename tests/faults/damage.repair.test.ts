import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { planRepairs, repairDirectory } from '../../broker/src/inspect/repair-directory.js';
import { batchPositions, flip, SoundDirectory, verified } from '../broker/inspect/sample-data.js';
import { chunksOf, drain, makeBatch, readAll, recordsIn, rejection } from '../support/batches.js';
import type { ReadRecord } from '../support/batches.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { openTestStorage, partitionOf, silentLogger } from '../support/storage.js';
import { faultLength, faultTimeoutMs, skipped } from './support/length.js';
import { strace, whyNoStrace } from './support/strace.js';

const binary = fileURLToPath(new URL('../../broker/bin/millrace-broker.js', import.meta.url));
/** A repair test takes as long as this many flips. */
const FLIPS_PER_REPAIR = 20;
/** From this length on a repair is killed at each of its calls; below, at some. */
const ALL_FROM_FLIPS = 2_000;
/** Calls of a repair that change what is on the disk. */
const CALLS = ['rename', 'unlink', 'fsync', 'fdatasync', 'ftruncate'];

/** Damage below the checkpoint: what lies before is served, nothing is appended, and a repair cuts there. */
describe('a log that is damaged below its checkpoint', () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  let sound: SoundDirectory;
  let records: readonly ReadRecord[];

  beforeAll(async () => {
    sound = await SoundDirectory.make();
    const storage = await openTestStorage(sound.copy().path);
    records = await readAll(partitionOf(storage));
    await storage.drop();
  });

  afterAll(async () => {
    await sound.remove();
  });

  const below = (count: number): number => Math.floor(random() * count);

  /** Damages one segment of a log; the file and, of what is in it, the offsets that are to be lost. */
  const harm = (log: string): { readonly file: string; readonly how: string } => {
    const files = readdirSync(log)
      .filter((name) => name.endsWith('.log'))
      .sort();
    const file = files[below(files.length)] as string;
    const path = join(log, file);
    const size = readFileSync(path).length;
    const way = below(4);
    if (way === 0) {
      const at = below(size);
      flip(path, at, 1 << below(8));
      return { file, how: `a flipped bit in byte ${at} of ${file}` };
    }
    if (way === 1) {
      const bytes = readFileSync(path);
      const at = below(size);
      bytes.fill(0, at, Math.min(size, at + 512));
      writeFileSync(path, bytes);
      return { file, how: `zeros from byte ${at} of ${file} on` };
    }
    if (way === 2) {
      const at = below(size);
      truncateSync(path, at);
      return { file, how: `${file} cut at byte ${at}` };
    }
    rmSync(path);
    return { file, how: `${file} removed` };
  };

  test(
    'is served up to there, and by a repair ends there; what is cut is kept',
    async () => {
      const count = Math.ceil(faultLength('damage') / FLIPS_PER_REPAIR);
      let refusals = 0;
      for (let i = 0; i < count; i += 1) {
        const { log, path } = sound.copy();
        const { how, file } = harm(log);
        const what = `${how}, seed ${seed}`;
        if ((await verified(path)).damage.length === 0) continue;
        const before = totalBytes(log);
        let storage = await openTestStorage(path);
        let partition = partitionOf(storage);
        const served = await readable(storage, partition.startOffset);
        expect([what, isRun(served, records)]).toEqual([what, true]);
        if (partition.state === 'damaged') {
          refusals += 1;
          const refused = await rejection(partition.append(chunksOf(makeBatch()), 1));
          expect([what, refused.errorName]).toEqual([what, 'CORRUPT_LOG']);
          expect(refused.message).toMatch(/\.log is damaged at byte \d+: .*--repair/);
          await storage.close();
          // Before an operator has decided, a restart forgets nothing.
          storage = await openTestStorage(path);
          expect([what, partitionOf(storage).state]).toEqual([what, 'damaged']);
        }
        await storage.close();

        const { plans, rebuilt } = await planRepairs(path, { report: () => undefined });
        expect([what, plans.length + rebuilt.length > 0]).toEqual([what, true]);
        await repairDirectory(path, { report: () => undefined }, silentLogger);
        expect([what, (await verified(path)).damage]).toEqual([what, []]);
        expect([what, totalBytes(log) >= before - 16]).toEqual([what, true]);

        storage = await openTestStorage(path);
        partition = partitionOf(storage);
        expect([what, partition.state]).toEqual([what, 'online']);
        const kept = await readAll(partition, partition.startOffset);
        const first = records.findIndex(({ offset }) => offset === kept[0]?.offset);
        expect([what, kept]).toEqual([
          what,
          kept.length === 0 ? [] : records.slice(first, first + kept.length),
        ]);
        if (file !== FIRST) expect([what, kept[0]?.offset ?? 0]).toEqual([what, 0]);
        const { baseOffset } = await partition.append(chunksOf(makeBatch()), -1);
        expect(baseOffset).toBeGreaterThan(records.at(-1)?.offset ?? 0);
        await storage.close();
      }
      process.stdout.write(`damaged logs: ${count}, ${refusals} of them refused appends\n`);
    },
    faultTimeoutMs('damage', 2_000),
  );

  test('a repair that is killed at any call is completed by the next', async () => {
    const missing = whyNoStrace();
    if (missing !== undefined) {
      skipped('kills within a repair', missing);
      return;
    }
    const isLong = faultLength('damage') >= ALL_FROM_FLIPS;
    const killed: Record<string, number> = {};
    for (const call of isLong ? CALLS : [CALLS[below(CALLS.length)] as string]) {
      // strace counts each call of each thread by itself: one thread makes nearly all of them.
      for (let nth = 1; await killRepairAt(call, nth); nth += isLong ? 1 : 3 + below(4)) {
        killed[call] = (killed[call] ?? 0) + 1;
      }
    }
    process.stdout.write(`repairs killed: ${JSON.stringify(killed)}\n`);
    expect(killed).not.toEqual({});
    if (isLong) expect(Object.keys(killed).sort()).toEqual([...CALLS].sort());
  }, 600_000);

  /** Whether it came to that call; then the next repair has completed what the killed one began. */
  const killRepairAt = async (call: string, nth: number): Promise<boolean> => {
    const { log, path } = sound.copy();
    const [, second = ''] = readdirSync(log)
      .filter((name) => name.endsWith('.log'))
      .sort();
    const [, position = 0] = batchPositions(join(log, second));
    flip(join(log, second), position + 70);
    const repair = [process.execPath, binary, 'verify', path, '--repair', '--yes'];
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
    const killing = strace({ call, injection: 'signal=KILL', when: nth }, '/dev/null');
    const [program = '', ...args] = [...killing, ...repair];
    const { signal, status } = spawnSync(program, args, { env });
    if (signal === null && status === 0) return false;
    const where = `${call} ${nth}`;
    await repairDirectory(path, { report: () => undefined }, silentLogger);
    const storage = await openTestStorage(path);
    const partition = partitionOf(storage);
    const kept = await readAll(partition);
    expect([where, partition.state]).toEqual([where, 'online']);
    expect([where, kept]).toEqual([where, records.slice(0, kept.length)]);
    expect([where, kept.length]).toEqual([where, recordsBefore(path, records, second, position)]);
    const { baseOffset } = await partition.append(chunksOf(makeBatch()), -1);
    expect(baseOffset).toBeGreaterThan(records.at(-1)?.offset ?? 0);
    await storage.close();
    expect((await verified(path)).damage).toEqual([]);
    return true;
  };

  const recordsBefore = (
    _: string,
    all: readonly ReadRecord[],
    segment: string,
    position: number,
  ): number => {
    const { log } = sound.copy();
    const bytes = readFileSync(join(log, segment));
    const cutAt = Number(bytes.readBigInt64BE(position));
    return all.filter(({ offset }) => offset < cutAt).length;
  };

  /** What a consumer gets from `offset` on until it is refused, or sees that a batch is not where it must be. */
  const readable = async (
    storage: Awaited<ReturnType<typeof openTestStorage>>,
    offset: number,
  ): Promise<readonly ReadRecord[]> => {
    const partition = partitionOf(storage);
    const got: ReadRecord[] = [];
    for (let next = offset; ;) {
      try {
        const region = await partition.read(next, 1, true);
        if (region === undefined) return got;
        const { firstOffset } = region.batches;
        const some = recordsIn(drain(region));
        // Base offsets are not covered by checksums: the SDK compares them with what the broker says of the log.
        if (some.some((record, i) => record.offset !== firstOffset + i)) return got;
        got.push(...some.filter((record) => record.offset >= next));
        next = firstOffset + some.length;
      } catch {
        return got;
      }
    }
  };
});

const FIRST = `${'0'.repeat(20)}.log`;

/** True when `some` are neighbours in `all`. */
function isRun(some: readonly ReadRecord[], all: readonly ReadRecord[]): boolean {
  const first = all.findIndex(({ offset }) => offset === some[0]?.offset);
  return some.every(({ offset, value }, i) => {
    const should = all[first + i];
    return should?.offset === offset && should.value === value;
  });
}

/** Of segments and what was cut off them, without the zeros at the end of what was cut. */
function totalBytes(log: string): number {
  const names = readdirSync(log).filter((name) => /^\d{20}\.log/.test(name));
  return names.reduce((sum, name) => {
    const bytes = readFileSync(join(log, name));
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end -= 1;
    return sum + end;
  }, 0);
}
