import { expect, test } from '@jest/globals';
import { seededRandom, testSeed } from '../support/seed.js';
import { makeTempDir } from '../support/temp-dir.js';
import { faultLength, faultTimeoutMs, skipped } from './support/length.js';
import { whyNoStrace } from './support/strace.js';
import { tamper } from './support/tampered-broker.js';
import type { TamperedCall } from './support/tampered-broker.js';

const injections = ['signal=KILL'] as const;
const calls: readonly TamperedCall[] = [
  { call: 'rename', injections },
  { call: 'ftruncate', injections },
  { call: 'fallocate', injections },
  { call: 'fsync', injections },
  { call: 'fdatasync', injections },
  { call: 'pwrite64', injections },
  { call: 'unlink', injections },
  { call: 'msync', persist: 'mmap', injections },
  { call: 'pwritev', persist: 'write', injections },
];
/** A kill of a real broker takes as long as so many of a recorded one. */
const POINTS_PER_KILL = 40;

test(
  'a real broker that is killed at a call loses nothing acknowledged',
  async () => {
    const missing = whyNoStrace();
    if (missing !== undefined) {
      skipped('kills at a call of a real broker', missing);
      return;
    }
    const random = seededRandom(testSeed());
    const start = Math.floor(random() * calls.length);
    const plan = Array.from(
      { length: Math.ceil(faultLength('crash-points') / POINTS_PER_KILL) },
      (_, i) => calls[(start + i) % calls.length] as TamperedCall,
    );
    const { brokers } = await tamper(plan, random, makeTempDir);
    expect(brokers).toBe(plan.length);
  },
  faultTimeoutMs('crash-points', 10_000),
);
