import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { crc32c } from '@millrace/protocol';
import { CheckpointFile } from '../../../broker/src/storage/checkpoint.js';
import type { Checkpoint } from '../../../broker/src/storage/checkpoint.js';
import { EpochHistory } from '../../../broker/src/storage/epoch-history.js';
import { readJsonFile, writeJsonFile } from '../../../broker/src/storage/json-file.js';
import { OffsetCeiling } from '../../../broker/src/storage/offset-ceiling.js';
import { makeTempDir } from '../../support/temp-dir.js';

let dir: Awaited<ReturnType<typeof makeTempDir>>;
beforeEach(async () => {
  dir = await makeTempDir();
});
afterEach(async () => {
  await dir.remove();
});

const damaged = expect.objectContaining({ name: 'DataDirError', problem: 'damaged' });

describe('a checkpoint file', () => {
  let path: string;
  beforeEach(() => {
    path = join(dir.path, 'checkpoint');
  });
  const full: Checkpoint = {
    ...{ segmentBase: 2 ** 40, position: 2 ** 31, endOffset: 2 ** 41, leaderEpoch: 3 },
    ...{ ceiling: 2 ** 53 - 1, startOffset: 5, tailDistrusted: true },
    ...{ hasEpochs: true, hasManifest: true },
    ...{ reservationStep: 2 ** 31, snapshotOffset: 2 ** 40 + 1, snapshotHoldsTo: -1 },
  };

  test('holds what was written, the newest last', async () => {
    const file = await CheckpointFile.load(path);
    expect(file.current).toBeUndefined();
    await file.update(full);
    expect((await CheckpointFile.load(path)).current).toEqual(full);
    for (let position = 0; position < 5; position += 1) {
      await file.update({ position });
      const loaded = await CheckpointFile.load(path);
      expect(loaded.current).toEqual({ ...full, position });
      expect(loaded.slotLost).toBe(false);
    }
  });

  test('has the layout that its comment draws', async () => {
    const file = await CheckpointFile.load(path);
    await file.update(full);
    const bytes = await readFile(path);
    expect(bytes.length).toBe(1024);
    expect(bytes.subarray(0, 512).every((byte) => byte === 0)).toBe(true);
    expect(bytes.subarray(512, 512 + 80).toString('hex')).toBe(
      '4d5243500001000700000000000000010000010000000000000000008000000000000200000000' +
        '00001fffffffffffff000000000000000500000003' +
        '800000000000010000000001ffffffffffffffff',
    );
    expect(bytes.readUInt32BE(512 + 80)).toBe(crc32c(bytes.subarray(512, 512 + 80)));
  });

  test('merges concurrent updates into few writes, each durable when its promise resolves', async () => {
    const file = await CheckpointFile.load(path);
    const updates = [file.update({ position: 1 })];
    for (let i = 2; i <= 100; i += 1) updates.push(file.update({ position: i, ceiling: i }));
    await updates[1];
    expect((await CheckpointFile.load(path)).current).toMatchObject({
      position: 100,
      ceiling: 100,
    });
    await Promise.all(updates);
    await file.idle();
    const bytes = await readFile(path);
    const sequence = Math.max(...[8, 520].map((at) => Number(bytes.readBigUInt64BE(at))));
    expect(sequence).toBeLessThanOrEqual(3);
  });

  test.each([0, 512])('survives damage to the slot at byte %i, and says so', async (at) => {
    const file = await CheckpointFile.load(path);
    for (let position = 1; position <= 4; position += 1) await file.update({ position });
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(at + 30) ^ 1, at + 30);
    await writeFile(path, bytes);
    const loaded = await CheckpointFile.load(path);
    expect(loaded.slotLost).toBe(true);
    // Sequence 4 lies in the first slot, 3 in the second.
    expect(loaded.current?.position).toBe(at === 0 ? 3 : 4);
    await loaded.update({ position: 9 });
    const again = await CheckpointFile.load(path);
    expect(again.current?.position).toBe(9);
    await again.update({ position: 10 });
    expect((await CheckpointFile.load(path)).slotLost).toBe(false);
  });

  test('a torn slot is a damaged one', async () => {
    const file = await CheckpointFile.load(path);
    await file.update({ position: 1 });
    await file.update({ position: 2 });
    const old = await readFile(path);
    await file.update({ position: 3 });
    const torn = await readFile(path);
    old.copy(torn, 512 + 24, 512 + 24, 1024);
    await writeFile(path, torn);
    const loaded = await CheckpointFile.load(path);
    expect(loaded.slotLost).toBe(true);
    expect(loaded.current?.position).toBe(2);
  });

  test('with both slots damaged, or empty, is an error that names it', async () => {
    const file = await CheckpointFile.load(path);
    await file.update({ position: 1 });
    await file.update({ position: 2 });
    await truncate(path, 10);
    await expect(CheckpointFile.load(path)).rejects.toEqual(damaged);
    await writeFile(path, '');
    await expect(CheckpointFile.load(path)).rejects.toThrow(path);
  });

  test('a write that fails is told to its callers, and the next one goes on', async () => {
    const file = await CheckpointFile.load(join(dir.path, 'missing', 'checkpoint'));
    await expect(file.update({ position: 1 })).rejects.toMatchObject({ code: 'ENOENT' });
    const { mkdir } = await import('node:fs/promises');
    await mkdir(join(dir.path, 'missing'));
    await file.update({ ceiling: 2 });
    expect((await CheckpointFile.load(file.path)).current).toMatchObject({
      position: 1,
      ceiling: 2,
    });
  });
});

describe('an offset ceiling', () => {
  test('covers only what the file durably holds, and is raised ahead of need', async () => {
    const file = await CheckpointFile.load(join(dir.path, 'checkpoint'));
    const stored = async (): Promise<number | undefined> =>
      (await CheckpointFile.load(file.path)).current?.ceiling;
    const ceiling = new OffsetCeiling(file, 100, 40);
    expect(ceiling.covers(40)).toBe(true);
    expect(ceiling.covers(41)).toBe(false);
    const reserving = ceiling.reserve(40, 3, 0);
    expect(ceiling.covers(41)).toBe(false);
    await reserving;
    expect(await stored()).toBe(140);
    expect([ceiling.covers(140), ceiling.covers(141)]).toEqual([true, false]);
    await ceiling.reserve(100, 500, 0);
    expect(await stored()).toBe(600);
    ceiling.reserveAhead(549, 0, () => undefined);
    await file.idle();
    expect(await stored()).toBe(600);
    ceiling.reserveAhead(550, 0, () => undefined);
    await file.idle();
    expect(await stored()).toBe(650);
  });

  test('that could not be raised covers no more than before', async () => {
    const file = await CheckpointFile.load(join(dir.path, 'missing', 'checkpoint'));
    const ceiling = new OffsetCeiling(file, 100, 0);
    await expect(ceiling.reserve(0, 1, 0)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(ceiling.covers(1)).toBe(false);
    const failed = new Promise((resolve) => ceiling.reserveAhead(0, 0, resolve));
    expect(await failed).toMatchObject({ code: 'ENOENT' });
  });
});

describe('an epoch history', () => {
  test('keeps the epochs, and tells gaps from losses', async () => {
    const history = await EpochHistory.load(dir.path);
    expect(history.latest).toBeUndefined();
    await history.begin({ epoch: 1, startOffset: 200, previousEndOffset: 10 });
    await history.begin({ epoch: 2, startOffset: 400, previousEndOffset: 210 });
    const loaded = await EpochHistory.load(dir.path);
    expect(loaded.all).toHaveLength(2);
    expect(loaded.latest?.epoch).toBe(2);
    expect(loaded.isGap(10, 200)).toBe(true);
    expect(loaded.isGap(150, 200)).toBe(true);
    expect(loaded.isGap(9, 200)).toBe(false);
    expect(loaded.isGap(10, 300)).toBe(false);
    const abandoned = (epoch: number): boolean[] =>
      [10, 11, 200, 210, 211, 400, 500].map((at) => loaded.isAbandoned(at, epoch));
    expect(abandoned(0)).toEqual([false, true, true, true, true, true, true]);
    expect(abandoned(1)).toEqual([false, false, false, false, true, true, true]);
    expect(abandoned(2)).toEqual([false, false, false, false, false, false, false]);
  });

  test('forgets the epochs that ended before an offset, and writes only then', async () => {
    const history = await EpochHistory.load(dir.path);
    const path = join(dir.path, 'epochs.json');
    for (let epoch = 1; epoch <= 5; epoch += 1) {
      await history.begin({ epoch, startOffset: epoch * 100, previousEndOffset: epoch * 100 - 50 });
    }
    const stored = async (): Promise<number[]> =>
      (await EpochHistory.load(dir.path)).all.map(({ epoch }) => epoch);
    const { ino } = await stat(path);
    for (const offset of [0, 99, 100, 199]) await history.forgetBefore(offset);
    expect((await stat(path)).ino).toBe(ino);
    await history.forgetBefore(350);
    expect(await stored()).toEqual([3, 4, 5]);
    // Both at a time: neither gets lost.
    const sixth = { epoch: 6, startOffset: 600, previousEndOffset: 550 };
    await Promise.all([history.begin(sixth), history.forgetBefore(499)]);
    expect(await stored()).toEqual([4, 5, 6]);
    await history.forgetBefore(9_000);
    expect(await stored()).toEqual([6]);
    expect(history.latest).toEqual(sixth);
  });

  test('an epoch begun again replaces the one of its number', async () => {
    const history = await EpochHistory.load(dir.path);
    await history.begin({ epoch: 1, startOffset: 200, previousEndOffset: 10 });
    await history.begin({ epoch: 1, startOffset: 300, previousEndOffset: 10 });
    expect((await EpochHistory.load(dir.path)).all).toEqual([
      { epoch: 1, startOffset: 300, previousEndOffset: 10 },
    ]);
  });

  test('that holds something else is damaged', async () => {
    for (const content of [
      {},
      [1],
      [{ epoch: 1 }],
      [{ epoch: 'a', startOffset: 1, previousEndOffset: 1 }],
    ]) {
      await writeJsonFile(join(dir.path, 'epochs.json'), content);
      await expect(EpochHistory.load(dir.path)).rejects.toEqual(damaged);
    }
  });
});

describe('a metadata file', () => {
  test('gives back its content; none when there is none', async () => {
    const path = join(dir.path, 'm.json');
    expect(await readJsonFile(path)).toBeUndefined();
    const content = { a: [1, 'ü', null, 1.5], b: { c: true } };
    await writeJsonFile(path, content);
    expect(await readJsonFile(path)).toEqual(content);
    await writeJsonFile(path, 7);
    expect(await readJsonFile(path)).toBe(7);
  });

  test('any changed, missing or added character is damage', async () => {
    const path = join(dir.path, 'm.json');
    await writeJsonFile(path, { name: 'orders', partitions: 3 });
    const text = await readFile(path, 'utf8');
    const damages = [
      ...['', '{}', 'null', '[]', '"x"', '{"crc32c":1,"content":1}', `${text}x`, text.slice(0, -3)],
      text.replace('orders', 'orderz'),
      text.replace('3', '4'),
      text.replace('"partitions"', '"partition"'),
    ];
    for (const damage of damages) {
      await writeFile(path, damage);
      await expect(readJsonFile(path)).rejects.toEqual(damaged);
    }
  });
});
