import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { seededRandom, testSeed } from '../support/seed.js';
import { ServedLog, TOPIC } from './damage/served-log.js';
import type { StoredBatch } from './damage/served-log.js';
import { faultLength, faultTimeoutMs } from './support/length.js';

/** What of a batch's header its checksum does not cover, with how often it is chosen. */
const FIELDS = [
  { name: 'base offset', at: 0, bytes: 8, weight: 4 },
  { name: 'length', at: 8, bytes: 4, weight: 1 },
  { name: 'leader epoch', at: 12, bytes: 4, weight: 2 },
  { name: 'magic', at: 16, bytes: 1, weight: 1 },
  { name: 'checksum', at: 17, bytes: 4, weight: 1 },
  { name: 'last offset delta', at: 23, bytes: 4, weight: 1 },
] as const;

interface Flip {
  readonly batch: StoredBatch;
  readonly byte: number;
  readonly bit: number;
  readonly from: number;
  readonly name: string;
}

/** Acknowledged data that the disk changed is never taken for good by a consumer. */
describe('a flipped bit in the log of a running broker', () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  let log: ServedLog;

  beforeAll(async () => {
    log = await ServedLog.start();
  });

  afterAll(async () => {
    await log.stop();
  });

  const below = (count: number): number => Math.floor(random() * count);

  const someFlip = (i: number): Flip => {
    const index = below(log.batches.length);
    const batch = log.batches[index] as StoredBatch;
    const weights = FIELDS.flatMap((field) => Array.from({ length: field.weight }, () => field));
    const field = i % 3 === 0 ? undefined : weights[below(weights.length)];
    const byte = field === undefined ? below(batch.sizeBytes) : field.at + below(field.bytes);
    // Low bits most of all: they make offsets that could be.
    const bit = random() < 0.5 ? below(3) : below(8);
    const before = log.batches[below(index + 1)] as StoredBatch;
    const inBatch = before.baseOffset + below(before.lastOffset - before.baseOffset + 1);
    const from = i % 2 === 0 ? 0 : inBatch;
    return { batch, byte, bit, from, name: field?.name ?? `byte ${byte}` };
  };

  test(
    'is noticed by who reads it, and what comes before is right',
    async () => {
      const offsets = [...log.values.keys()].sort((a, b) => a - b);
      const whole = await log.consume(0);
      expect(whole.error).toBeUndefined();
      expect(whole.messages.map(({ offset }) => offset)).toEqual(offsets);
      const noticedBy = { client: 0, broker: 0 };
      for (let i = 0; i < faultLength('damage'); i += 1) {
        const { batch, bit, byte, from, name } = someFlip(i);
        const restore = log.flip(batch, batch.position + byte, bit);
        const { error, messages } = await log.consume(from);
        restore();
        const what = `bit ${bit} of ${name} of the batch at byte ${batch.position} of ${batch.file}, read from ${from}, seed ${seed}`;
        const should = offsets.filter((offset) => offset >= from);
        const wrong = messages.findIndex(
          ({ offset, value }, n) => offset !== should[n] || value !== log.values.get(offset),
        );
        if (wrong >= 0) throw new Error(`${what}: message ${wrong} is wrong`);
        const last = messages.at(-1)?.offset ?? -1;
        if (last >= batch.baseOffset) throw new Error(`${what}: offset ${last} was given out`);
        if (error === undefined) throw new Error(`${what}: nobody noticed`);
        expect([what, error.topic, error.partition]).toEqual([what, TOPIC, 0]);
        expect([what, error.code]).toEqual([what, expect.stringMatching(/^CORRUPT_/)]);
        expect(error.message).toMatch(/offset \d+/);
        noticedBy[error.code === 'CORRUPT_LOG' ? 'broker' : 'client'] += 1;
      }
      const { broker, client } = noticedBy;
      process.stdout.write(`flips: ${client} noticed by the client, ${broker} by the broker\n`);
      // The disk has come to its senses, and nothing was lost.
      expect(await log.consume(0)).toEqual(whole);
    },
    faultTimeoutMs('damage', 2_000),
  );
});
