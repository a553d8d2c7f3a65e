import './seam/install.js';
import { expect, test } from '@jest/globals';
import { seededRandom, testSeed } from '../support/seed.js';
import { faultLength, faultTimeoutMs } from './support/length.js';

const { persistKinds } = await import('../support/storage.js');
const { crashAround } = await import('./seam/crash-rounds.js');
const { lives } = await import('./seam/lives.js');

const SCENARIO = 'crash-points';
const seed = testSeed();
const cells = persistKinds.flatMap((kind) => Object.keys(lives).map((name) => ({ kind, name })));
const pointsEach = Math.ceil(faultLength(SCENARIO) / cells.length);

/**
 * Each point is two crashes, kills or power cuts: one amid what the storage does to its files, and one
 * amid what the next one did that was opened on what the first had left.
 */
test.each(cells)(
  'what was promised holds after a crash at any point: $name, persist $kind',
  async ({ kind, name }) => {
    expect(await crashAround(name, kind, pointsEach, seededRandom(seed))).toBe('');
  },
  faultTimeoutMs(SCENARIO, 2_000),
);
