import './seam/install.js';
import { afterAll, expect, test } from '@jest/globals';
import { seededRandom, testSeed } from '../support/seed.js';
import type { FaultCounts } from './seam/crash-rounds.js';
import { faultLength, faultTimeoutMs } from './support/length.js';

const { persistKinds } = await import('../support/storage.js');
const { failAround } = await import('./seam/crash-rounds.js');
const { lives } = await import('./seam/lives.js');

const SCENARIO = 'syscalls';
const seed = testSeed();
const cells = persistKinds.flatMap((kind) => Object.keys(lives).map((name) => ({ kind, name })));
const counts: FaultCounts = {};

afterAll(() => {
  process.stdout.write(`syscalls: calls that failed: ${JSON.stringify(counts)}\n`);
});

test.each(cells)(
  'what was promised holds although a call fails: $name, persist $kind',
  async ({ kind, name }) => {
    const random = seededRandom(seed);
    expect(await failAround(name, kind, faultLength(SCENARIO), random, counts)).toBe('');
  },
  faultTimeoutMs(SCENARIO),
);
