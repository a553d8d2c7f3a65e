import { execFileSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { DeliveryError, Millrace } from '@millrace/client';
import { BrokerProcess } from '../support/broker-process.js';
import { makeTempDir } from '../support/temp-dir.js';

const DISK = '24m';
const BALLAST_BYTES = 8 * 2 ** 20;
const MESSAGE_BYTES = 256 * 1024;

const cleanUp: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** A disk of its own, in memory; undefined where this user may not mount one. */
async function mountSmallDisk(): Promise<string | undefined> {
  const directory = await makeTempDir();
  cleanUp.push(directory.remove);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', directory.path], {
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

describe.each(['mmap', 'write'])('a full disk, persist %s', (persist) => {
  test('refuses with DISK_FULL, goes on reading, and takes messages again when there is space', async () => {
    const disk = await mountSmallDisk();
    if (disk === undefined) {
      process.stdout.write('skipped: mounting a small disk needs root\n');
      return;
    }
    const ballast = join(disk, 'ballast');
    await writeFile(ballast, Buffer.alloc(BALLAST_BYTES));
    const broker = await BrokerProcess.start(join(disk, 'data'), ['--persist', persist]);
    cleanUp.push(() => broker.kill());
    const client = new Millrace({ brokers: [broker.address] });
    cleanUp.push(() => client.close());
    await client.admin.createTopic({ name: 'full' });

    const stored: number[] = [];
    const producer = client.producer({ deliveryTimeoutMs: 1_000 });
    let refused: unknown;
    for (let i = 0; refused === undefined; i += 1) {
      const value = Buffer.alloc(MESSAGE_BYTES, i % 251);
      try {
        await producer.send('full', { value });
        stored.push(i % 251);
      } catch (error) {
        refused = error;
      }
    }
    expect(refused).toBeInstanceOf(DeliveryError);
    expect(refused).toMatchObject({ topic: 'full', cause: { code: 'DISK_FULL', retriable: true } });
    expect(stored.length).toBeGreaterThan(10);

    const read = async (): Promise<number[]> => {
      const values: number[] = [];
      for await (const { value } of client.consumer({ topics: ['full'], exitAtEnd: true })) {
        expect(value?.length).toBe(MESSAGE_BYTES);
        values.push(value?.[0] ?? -1);
      }
      return values;
    };
    expect(await read()).toEqual(stored);

    await rm(ballast);
    const again = client.producer();
    await again.send('full', { value: Buffer.alloc(MESSAGE_BYTES, 252) });
    expect(await read()).toEqual([...stored, 252]);
    await client.close();
    expect(await broker.stop()).toBe(0);
  });
});
