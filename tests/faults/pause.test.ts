import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { BrokerProcess } from '../support/broker-process.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { makeTempDir } from '../support/temp-dir.js';
import { expectNoAnomalies } from './checker/expect-no-anomalies.js';
import { HistoryRecorder } from './checker/recorder.js';
import { ClientProcess } from './load/client-process.js';
import { Load, loadEnvironment, type LoadOptions } from './load/load.js';
import { cells } from './support/cells.js';
import { expectSound } from './support/expect-sound.js';
import { freePort } from './support/free-port.js';
import { faultLength, faultTimeoutMs } from './support/length.js';
import { waitFor } from '../support/wait-for.js';

const LONGEST_MS = faultLength('pause') * 1_000;
const PAUSES_MS = LONGEST_MS <= 5_000 ? [LONGEST_MS] : [5_000, LONGEST_MS / 3, LONGEST_MS];
/** The shortest pause outlasts every time limit: of requests, of sessions, of clients that do not read. */
const TIME_LIMIT_MS = Math.round(Math.min(...PAUSES_MS) * 0.6);

const environment = {
  ...loadEnvironment,
  MILLRACE_SEND_STALL_TIMEOUT_MS: String(TIME_LIMIT_MS),
  MILLRACE_REQUEST_TIMEOUT_MS: String(TIME_LIMIT_MS),
  MILLRACE_GROUP_MIN_SESSION_TIMEOUT_MS: '100',
};

const loadOptions: LoadOptions = {
  impatient: false,
  sessionTimeoutMs: TIME_LIMIT_MS,
  requestTimeoutMs: TIME_LIMIT_MS,
};

/**
 * What a commit may meet when its group has moved on, or nobody answers in time; it is the next one that
 * counts. Sends and iterations meet nothing.
 */
const passingCodes = new Set([
  ...['REBALANCED', 'REBALANCE_IN_PROGRESS', 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'],
  ...['CONNECTION_FAILED', 'REQUEST_TIMEOUT', 'REQUEST_TIMED_OUT'],
]);

async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Who takes part: a broker, a load in this process, and two processes with the clients to pause. */
interface Scene {
  readonly broker: BrokerProcess;
  readonly load: Load;
  readonly producers: ClientProcess;
  readonly consumers: ClientProcess;
}

/** Waits until everyone who is meant has got on from here. */
async function progress(scene: Scene, who: readonly ('load' | 'producers' | 'consumers')[]) {
  const { load, producers, consumers } = scene;
  const stand = () => ({
    load: [load.acknowledged, load.read, load.readByGroup],
    producers: [producers.acknowledged],
    consumers: [consumers.read],
  });
  const from = stand();
  const isBehind = (): boolean => {
    const now = stand();
    return who.some((one) => now[one].some((count, i) => count <= (from[one][i] ?? 0)));
  };
  await waitFor(`${who.join(', ')} get on`, () => !isBehind() || load.failures.length > 0);
  expect(load.failures).toEqual([]);
}

/** Producers that are stopped cost nobody anything, and go on. */
async function pauseProducers(scene: Scene, pauseMs: number): Promise<void> {
  scene.producers.pause();
  const pause = sleep(pauseMs);
  await sleep(pauseMs / 2);
  await progress(scene, ['load', 'consumers']);
  await pause;
  scene.producers.goOn();
  await progress(scene, ['load', 'producers', 'consumers']);
}

/** Consumers that are stopped lose their partitions to the others of their group, and come back. */
async function pauseConsumers(scene: Scene, pauseMs: number): Promise<void> {
  scene.consumers.pause();
  const pause = sleep(pauseMs);
  const { load } = scene;
  await waitFor('others have the partitions', () => load.ownedByGroup === load.groupPartitions);
  await progress(scene, ['load', 'producers']);
  await pause;
  scene.consumers.goOn();
  await progress(scene, ['load', 'producers', 'consumers']);
}

/** Everybody's requests and sessions are over when it goes on. */
async function pauseBroker(scene: Scene, history: HistoryRecorder, pauseMs: number): Promise<void> {
  const up = history.outage('pause');
  process.kill(scene.broker.pid, 'SIGSTOP');
  await sleep(pauseMs);
  process.kill(scene.broker.pid, 'SIGCONT');
  up();
  await progress(scene, ['load', 'producers', 'consumers']);
}

test(
  `the broker, producers and consumers are stopped for up to ${LONGEST_MS} ms: nothing is lost, all go on`,
  async () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const directory = await makeTempDir();
    const dataDir = join(directory.path, 'data');
    const listen = `127.0.0.1:${await freePort(random)}`;
    const how = cells[Math.floor(random() * cells.length)] ?? [];
    const args = ['--listen', listen, '--http', 'off', ...how];
    const broker = await BrokerProcess.start(dataDir, args, environment);
    const history = new HistoryRecorder();
    const load = new Load(listen, history, random, loadOptions);
    const processes: ClientProcess[] = [];
    const start = async (options: LoadOptions): Promise<ClientProcess> => {
      const client = ClientProcess.launch();
      processes.push(client);
      await client.start(listen, seed, { ...loadOptions, ...options });
      return client;
    };
    try {
      await load.createTopics();
      load.start();
      const producers = await start({ consumes: false, firstProducer: 100 });
      const consumers = await start({ produces: false, prefix: 'other-' });
      const scene = { broker, load, producers, consumers };
      for (const pauseMs of PAUSES_MS) {
        await progress(scene, ['load', 'producers', 'consumers']);
        await pauseProducers(scene, pauseMs);
        await pauseConsumers(scene, pauseMs);
        await pauseBroker(scene, history, pauseMs);
      }
      await Promise.all([load.settle(), producers.settle()]);
      const logs = await load.readLogs();
      const told = await Promise.all([
        load.catchUp(logs).then(() => [...load.failures, ...load.errorCodes]),
        ...processes.map((client) => client.finish(logs, history)),
      ]);
      expect(told.flat().filter((trouble) => !passingCodes.has(trouble))).toEqual([]);
      await load.close();
      expect(await broker.stop()).toBe(0);
      expect(broker.log).not.toMatch(/"level":"(error|fatal)"/);
      expectSound(dataDir);
      const { anomalies, ...figures } = expectNoAnomalies(history);
      expect(anomalies).toEqual([]);
      process.stdout.write(`pause: ${JSON.stringify({ pausesMs: PAUSES_MS, how, ...figures })}\n`);
    } catch (error) {
      process.stdout.write(`seed ${seed}, data in ${directory.path}; its log:\n${broker.log}\n`);
      throw error;
    } finally {
      await Promise.all(processes.map((client) => client.kill()));
      await load.close();
      await broker.kill();
    }
    await rm(directory.path, { recursive: true, force: true });
  },
  faultTimeoutMs('pause'),
);
