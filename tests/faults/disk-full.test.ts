import { execFile } from 'node:child_process';
import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { DeliveryError, Millrace } from '@millrace/client';
import { runTool } from '../broker/cli/run-tool.js';
import { BrokerProcess } from '../support/broker-process.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { checkHistory } from './checker/check-history.js';
import { explain } from './checker/explain.js';
import { HistoryRecorder } from './checker/recorder.js';
import { Load, loadEnvironment, type LoadShape } from './load/load.js';
import { faultLength, faultTimeoutMs, skipped } from './support/length.js';
import { LoopDisk } from './support/loop-disk.js';
import { refusal } from './support/refusal.js';

const run = promisify(execFile);

const MiB = 2 ** 20;
const DISK_BYTES = 64 * MiB;
/** What is left at most when the disk is filled, for everything to fail somewhere else each time. */
const LEFT_MAX_BYTES = MiB / 8;
/** Less is not worth another step. */
const FILL_STEP_BYTES = 64 * 1024;
/** The bound of the test about it. */
const MIN_FREE_BYTES = 8 * MiB;
/** How long a probe may be tried again: less than a filling lasts. */
const PROBE_MS = 300;

const small = { 'segment.bytes': '131072', 'max.message.bytes': '131072', 'flush.ms': '50' };
const slow = { messagesPerSecond: 150, maxValueBytes: 1_000, maxPending: 400 };
const shape: LoadShape = {
  topics: [
    { name: 'kept', partitions: 3, config: small, retention: false },
    {
      ...{ name: 'rolling', partitions: 2, retention: true },
      config: { ...small, 'retention.bytes': '262144' },
    },
  ],
  producers: [
    { ...slow, topicIndex: 0, acks: 'all' },
    { ...slow, topicIndex: 0, acks: 1 },
    { ...slow, topicIndex: 1, acks: 'all' },
    { ...slow, topicIndex: 1, acks: 1 },
  ],
};

let missing: string | undefined;
beforeAll(async () => {
  missing = await LoopDisk.missing();
  if (missing !== undefined) skipped('full disks', missing);
});

/** A small disk with a broker on it, and something else that takes its space. */
class FillableDisk {
  readonly #ballast: string;

  constructor(
    readonly disk: LoopDisk,
    readonly broker: BrokerProcess,
  ) {
    this.#ballast = join(disk.path, 'ballast');
  }

  /** Takes all that is free but about so many bytes. */
  async fill(leftBytes: number): Promise<void> {
    let atMost = DISK_BYTES;
    for (;;) {
      const { bavail, bsize } = await statfs(this.disk.path);
      const bytes = Math.min(bavail * bsize - leftBytes, atMost);
      if (bytes < FILL_STEP_BYTES) return;
      const file = await open(this.#ballast, 'a');
      const { size } = await file.stat();
      await file.close();
      try {
        await run('fallocate', ['-o', String(size), '-l', String(bytes), this.#ballast]);
      } catch {
        // The filesystem gives less than it says; and the broker takes some meanwhile.
        atMost = Math.floor(bytes / 2);
      }
    }
  }

  async free(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }
}

/** Sends large messages until one is refused, and returns that. */
async function refusedMessage(client: Millrace): Promise<DeliveryError> {
  const producer = client.producer({ idempotent: false, deliveryTimeoutMs: PROBE_MS });
  const value = Buffer.alloc(50_000);
  const failure = await refusal(() => producer.send('probe', { value }));
  await producer.close();
  return failure;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function onSmallDisk(
  persist: string,
  minFreeBytes: number,
  random: () => number,
  use: (target: FillableDisk, load: Load, client: Millrace) => Promise<void>,
): Promise<void> {
  const disk = await LoopDisk.make({ sizeBytes: DISK_BYTES });
  const dataDir = join(disk.path, 'data');
  const broker = BrokerProcess.launch(dataDir, ['--persist', persist], {
    ...loadEnvironment,
    MILLRACE_MIN_FREE_DISK_BYTES: String(minFreeBytes),
  });
  const history = new HistoryRecorder();
  let load: Load | undefined;
  try {
    await broker.untilReady();
    load = new Load(broker.address, history, random, { shape, impatient: false });
    const client = load.client('probe');
    const config = { ...small, 'retention.bytes': '262144' };
    await client.admin.createTopic({ name: 'probe', config });
    await load.createTopics();
    load.start();
    await use(new FillableDisk(disk, broker), load, client);
    await load.finish();
    expect(load.failures).toEqual([]);
    await load.close();
    expect(await broker.stop()).toBe(0);
    const { anomalies, ...counts } = checkHistory(history);
    process.stdout.write(`disk-full, persist ${persist}: ${JSON.stringify(counts)}\n`);
    expect(anomalies.map((anomaly) => explain(history, anomaly))).toEqual([]);
    const { code, stdout } = await runTool('verify', dataDir);
    expect({ code, stdout: code === 0 ? '' : stdout }).toEqual({ code: 0, stdout: '' });
  } finally {
    await load?.close();
    await broker.kill();
    await disk.remove();
  }
}

describe.each(['adaptive', 'mmap', 'write'])('a full disk, persist %s', (persist) => {
  const fillings = faultLength('disk-full');
  const timeoutMs = faultTimeoutMs('disk-full');

  test(
    `${fillings} times, refuses with DISK_FULL, goes on reading, and goes on by itself`,
    async () => {
      if (missing !== undefined) return;
      const random = seededRandom(testSeed());
      await onSmallDisk(persist, 0, random, async (target, load, client) => {
        for (let filling = 0; filling < fillings; filling += 1) {
          const { acknowledged } = load;
          await until(() => load.acknowledged > acknowledged + 20);
          await target.fill(random() * LEFT_MAX_BYTES);
          const error = await refusedMessage(client);
          expect(error).toMatchObject({ cause: { code: 'DISK_FULL', retriable: true } });
          // What is stored can be read from its beginning to its end.
          for await (const batch of client
            .consumer({ topics: ['kept'], exitAtEnd: true })
            .batches()) {
            expect(batch.lastOffset).toBeGreaterThanOrEqual(batch.baseOffset);
          }
          await target.free();
          const full = load.acknowledged;
          await until(() => load.acknowledged > full + 20);
          expect(target.broker.log).not.toContain('is offline');
        }
      });
    },
    timeoutMs,
  );

  test(
    `${fillings} times nearly, refuses messages while commits and retention go on`,
    async () => {
      if (missing !== undefined) return;
      const random = seededRandom(testSeed());
      await onSmallDisk(persist, MIN_FREE_BYTES, random, async (target, load, client) => {
        const http = `http://${target.broker.ready.http}`;
        const low = async (): Promise<boolean> =>
          (await (await fetch(`${http}/metrics`)).text()).includes('\nmillrace_disk_low 1');
        for (let filling = 0; filling < fillings; filling += 1) {
          const { acknowledged } = load;
          await until(() => load.acknowledged > acknowledged + 20);
          await target.fill(MIN_FREE_BYTES / 2);
          const error = await refusedMessage(client);
          expect(error).toMatchObject({ cause: { code: 'DISK_FULL', retriable: true } });
          expect(String(error)).toContain('minFreeDiskBytes');
          expect(await low()).toBe(true);
          const ready = await fetch(`${http}/readyz`);
          expect([ready.status, await ready.text()]).toEqual([
            200,
            expect.stringContaining('messages are refused'),
          ]);
          const to = { offset: filling + 1 };
          const [reset] = await client.admin.resetOffsets('operator', {
            ...{ to, partitions: [{ topic: 'kept', partition: 0 }] },
          });
          expect(reset?.newOffset).toBe(filling + 1);
          await target.free();
          const full = load.acknowledged;
          await until(() => load.acknowledged > full + 20);
          expect(await low()).toBe(false);
        }
        const said = (text: string): number => target.broker.log.split(text).length - 1;
        expect(said('the disk is nearly full')).toBe(fillings);
        expect(said('there is space on the disk again')).toBe(fillings);
      });
    },
    timeoutMs,
  );
});
