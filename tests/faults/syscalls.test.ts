import { expect, test } from '@jest/globals';
import { seededRandom, testSeed } from '../support/seed.js';
import { makeTempDir } from '../support/temp-dir.js';
import { faultLength, faultTimeoutMs, skipped } from './support/length.js';
import { whyNoStrace } from './support/strace.js';
import type { Injection } from './support/strace.js';
import { tamper } from './support/tampered-broker.js';
import type { TamperedCall } from './support/tampered-broker.js';

const failing: readonly Injection[] = ['error=EIO', 'error=ENOSPC'];
/** `retval=0`: nothing was written, and no error; other short results are made where files are recorded. */
const calls: readonly TamperedCall[] = [
  { call: 'msync', persist: 'mmap', injections: failing },
  { call: 'fdatasync', injections: failing },
  { call: 'fsync', injections: failing },
  { call: 'pwritev', persist: 'write', injections: [...failing, 'retval=0'] },
  { call: 'pwrite64', injections: [...failing, 'retval=0'] },
  { call: 'write', injections: failing, onFiles: true },
  { call: 'fallocate', injections: failing },
  { call: 'ftruncate', injections: ['error=EIO'] },
  { call: 'openat', injections: [...failing, 'error=EMFILE'], onFiles: true },
  { call: 'mmap', persist: 'mmap', injections: ['error=ENOMEM', 'error=EIO'], onFiles: true },
  { call: 'rename', injections: failing },
  { call: 'unlink', injections: ['error=EIO'] },
  { call: 'mkdir', injections: failing },
];
/** In `npm test` some of the calls fail, by the seed. */
const SHORT_BROKERS = 4;

test(
  'a call that fails loses nothing acknowledged, and ends neither the broker nor other partitions',
  async () => {
    const missing = whyNoStrace();
    if (missing !== undefined) {
      skipped('calls that fail under a real broker', missing);
      return;
    }
    const length = faultLength('syscalls');
    const random = seededRandom(testSeed());
    const start = Math.floor(random() * calls.length);
    const plan = Array.from(
      { length: length === 1 ? SHORT_BROKERS : length * calls.length },
      (_, i) => calls[(start + i) % calls.length] as TamperedCall,
    );
    const { brokers } = await tamper(plan, random, makeTempDir);
    expect(brokers).toBe(plan.length);
  },
  faultTimeoutMs('syscalls', 120_000),
);
