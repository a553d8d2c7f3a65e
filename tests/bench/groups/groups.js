/*
 * The figures of consumer groups: `npm run bench:groups [-- --rounds N --only join,rebalance,offsets,fetch]`.
 * Timings of a shared machine are noisy: read the spread before you believe a median.
 */
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { benchFetch } from './fetch.js';
import { benchJoin } from './join.js';
import { benchOffsets } from './offsets.js';
import { benchRebalance } from './rebalance.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: 'join,rebalance,offsets,fetch' },
  },
});
const rounds = Number(values.rounds);
const [cpu] = cpus();
console.log(
  `${cpus().length} × ${cpu?.model ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ` +
    `Linux ${release()}, Node ${process.version}\n`,
);
const parts = {
  join: benchJoin,
  rebalance: benchRebalance,
  offsets: benchOffsets,
  fetch: benchFetch,
};
for (const name of values.only.split(',')) {
  const part = parts[name];
  if (part === undefined)
    throw new Error(`--only takes ${Object.keys(parts).join(', ')}, not ${name}`);
  await part({ rounds });
}
