/*
 * How near a broker comes to a loop in C that does nothing but move the bytes, over loopback, with the same sender
 * and receiver in C: in by appending, out by serving what went in, for each size of batch and fetch.
 *
 *     npm run bench:loopback [-- --rounds 7 --warm-rounds 4 --chunks-kib 64,256,1024 --mib 512]
 *
 * Like `millrace-bench modes --reference`, but on brokers that stay: those of a round of modes have only begun to run,
 * and half a gigabyte is over before V8 has compiled them. The first rounds are not counted. Needs a C compiler, and
 * three times `--mib` on disk. Timings of a shared machine are noisy: a share is of the best loop of its round.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { withConnection } from '../../bench/dist/cli/measured-load.js';
import { loopContenders } from '../../bench/dist/reference/loops.js';
import { referencePhases } from '../../bench/dist/reference/phases.js';
import { planReference } from '../../bench/dist/reference/plan.js';
import { referenceProgram } from '../../bench/dist/reference/program.js';
import { printTable, Server, spread, withTempDir } from './spine/processes.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    'warm-rounds': { type: 'string', default: '4' },
    'chunks-kib': { type: 'string', default: '64,256,1024' },
    mib: { type: 'string', default: '512' },
  },
});
const MiB = 2 ** 20;
const PERSISTS = ['adaptive', 'write'];
const MAX_REMOVAL_MS = 120_000;
const never = new AbortController().signal;
const rounds = Number(values.rounds);
const warmRounds = Number(values['warm-rounds']);
let topics = 0;

const rateOf = ({ bytes, seconds }) => bytes / MiB / seconds;

async function measureBroker({ directory, server }, plan) {
  const target = { driver: 'millrace', address: `127.0.0.1:${server.port}` };
  const at = { target, httpAddress: undefined, topic: `t${topics++}` };
  const rates = {};
  for (const { phase, run } of referencePhases(plan)) {
    const { produced, consumed } = await run(at, never);
    rates[phase === 'reference-in' ? 'in' : 'out'] = rateOf(produced ?? consumed);
  }
  await withConnection(target, (connection) => connection.deleteTopic(`${at.topic}-reference`));
  await spaceGivenBack(join(directory, 'topics'));
  return rates;
}

/** A topic's space is given back bit by bit, which is not to be the next one's cost. */
async function spaceGivenBack(topics) {
  const until = performance.now() + MAX_REMOVAL_MS;
  while (readdirSync(topics).some((name) => name.endsWith('.deleted'))) {
    if (performance.now() > until) {
      throw new Error(`${topics} has a deleted topic still after ${MAX_REMOVAL_MS} ms`);
    }
    await delay(20);
  }
}

/** Every way of each direction once: MiB/s by name. */
async function measureRound(brokers, plan, round) {
  const rates = { in: {}, out: {} };
  const turns = [
    ...brokers.map((broker) => async () => {
      const its = await measureBroker(broker, plan);
      for (const way of ['in', 'out']) rates[way][`broker, ${broker.persist}`] = its[way];
    }),
    ...loopContenders(plan).map(({ name, run }) => async () => {
      const [{ produced, consumed }] = await run(never);
      rates[produced === undefined ? 'out' : 'in'][name] = rateOf(produced ?? consumed);
    }),
  ];
  for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn();
  return rates;
}

function tell(chunkKib, way, results) {
  const best = results.map((rates) =>
    Math.max(...Object.keys(rates).flatMap((name) => (name.startsWith('C ') ? [rates[name]] : []))),
  );
  printTable([
    [`${way}, ${chunkKib} KiB`, 'MiB/s', 'of the best loop'],
    ...Object.keys(results[0]).map((name) => [
      name,
      spread(results.map((rates) => rates[name])),
      spread(results.map((rates, i) => rates[name] / best[i])),
    ]),
  ]);
}

console.log(`${values.mib} MiB a round, ${rounds} rounds behind ${warmRounds} that do not count`);
await withTempDir(async (parent) => {
  const program = await referenceProgram(parent);
  const brokers = [];
  try {
    for (const persist of PERSISTS) {
      const directory = join(parent, persist);
      const server = await Server.broker(directory, ['--persist', persist]);
      brokers.push({ persist, directory, server });
    }
    for (const chunkKib of values['chunks-kib'].split(',').map(Number)) {
      const spec = {
        payload: { kind: 'random', minBytes: 1024, maxBytes: 1024 },
        batchBytes: chunkKib * 1024,
        fetchBytes: chunkKib * 1024,
      };
      const plan = planReference(program, spec, Number(values.mib) * MiB, parent);
      const results = [];
      for (let round = 0; round < warmRounds + rounds; round += 1) {
        results.push(await measureRound(brokers, plan, round));
      }
      for (const way of ['in', 'out']) {
        tell(
          chunkKib,
          way,
          results.slice(warmRounds).map((rates) => rates[way]),
        );
      }
    }
  } finally {
    for (const { server } of brokers) await server.stop();
  }
});
