/*
 * The figures of the spine: `npm run bench:spine [-- --rounds N --only footprint,cells,sdk]`.
 * Timings of a shared machine are noisy: read the ratios, and the spread before you believe a median.
 */
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { benchCells } from './cells.js';
import { benchFootprint } from './footprint.js';
import { benchSdk } from './sdk.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: 'footprint,cells,sdk' },
  },
});
const rounds = Number(values.rounds);
const [cpu] = cpus();
console.log(
  `${cpus().length} × ${cpu?.model ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ` +
    `Linux ${release()}, Node ${process.version}\n`,
);
const parts = { footprint: benchFootprint, cells: benchCells, sdk: benchSdk };
for (const name of values.only.split(',')) {
  const part = parts[name];
  if (part === undefined)
    throw new Error(`--only takes ${Object.keys(parts).join(', ')}, not ${name}`);
  await part({ rounds });
}
