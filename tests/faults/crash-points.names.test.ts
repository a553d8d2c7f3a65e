import './seam/install.js';
import { expect, test } from '@jest/globals';
import { seededRandom, testSeed } from '../support/seed.js';
import type { Operation } from './seam/operations.js';
import { faultLength, faultTimeoutMs } from './support/length.js';

const { persistKinds } = await import('../support/storage.js');
const { killAtNames } = await import('./seam/crash-rounds.js');
const { crashAt, record } = await import('./seam/crashes.js');
const { lives } = await import('./seam/lives.js');
const { losses } = await import('./seam/losses.js');

const SCENARIO = 'crash-points';
const seed = testSeed();
const cells = persistKinds.flatMap((kind) => Object.keys(lives).map((name) => ({ kind, name })));
const namesEach = Math.ceil(faultLength(SCENARIO) / cells.length);

/** What a start finds after a kill may be names that came or went and are not synced: it must not build on those. */
test.each(cells)(
  'a name that came or went before a kill is durable before anything rests on it: $name, persist $kind',
  async ({ kind, name }) => {
    expect(await killAtNames(name, kind, namesEach, seededRandom(seed))).toBe('');
  },
  faultTimeoutMs(SCENARIO, 5_000),
);

const known: Readonly<Record<string, { life: string; isIt: (operation: Operation) => boolean }>> = {
  'the end that a start took from the first checkpoint': {
    life: 'offsets are reserved',
    isIt: (operation) => operation.type === 'move' && operation.to.endsWith('checkpoint'),
  },
  'what was appended after the mark of a clean stop was taken away': {
    life: 'groups commit',
    isIt: (operation) => operation.type === 'remove' && operation.path === 'clean',
  },
};

test.each(Object.entries(known))(
  '%s stays, though a kill came before that name was synced, and a power cut at any point after',
  async (_what, { isIt, life }) => {
    const live = lives[life];
    if (live === undefined) throw new Error('there is no such life');
    const { recording } = await record(live, 'mmap', seededRandom(1));
    const named = recording.operations.findIndex(isIt);
    expect(named).toBeGreaterThan(0);
    const { next, problems } = await crashAt(recording, { operations: named + 1, loss: undefined });
    expect(problems).toEqual([]);
    if (next === undefined) throw new Error('it did not open');
    for (let operations = 0; operations <= next.operations.length; operations += 1) {
      expect((await crashAt(next, { operations, loss: losses[0] })).problems).toEqual([]);
    }
  },
  60_000,
);
