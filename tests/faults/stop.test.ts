import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { BrokerProcess } from '../support/broker-process.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { makeTempDir } from '../support/temp-dir.js';
import { expectNoAnomalies } from './checker/expect-no-anomalies.js';
import { HistoryRecorder } from './checker/recorder.js';
import { Load, loadEnvironment } from './load/load.js';
import { cells } from './support/cells.js';
import { expectSound } from './support/expect-sound.js';
import { freePort } from './support/free-port.js';
import { faultLength, faultTimeoutMs } from './support/length.js';
import { waitFor } from '../support/wait-for.js';

/** What a stop may take: `drainTimeoutMs`. Whoever takes longer is killed, and has no exit code. */
const STOP_LIMIT_MS = 10_000;
const SESSION_TIMEOUT_MS = 60_000;

/** What clients may be told while the broker is away: that it is, and that they try again. */
const passingCodes = new Set(['CONNECTION_FAILED', 'SHUTTING_DOWN']);

/** SIGTERM; resolves to the exit code, null where it had to be killed. */
async function stopWithin(broker: BrokerProcess, limitMs: number): Promise<number | null> {
  const killer = setTimeout(() => void broker.kill(), limitMs);
  try {
    return await broker.stop('SIGTERM');
  } finally {
    clearTimeout(killer);
  }
}

/** What clients were told since the last look, other than that they connected again, once. */
function troubles(load: Load): string[] {
  const events = load.events.splice(0);
  const found = [...load.failures];
  const lost = new Map<string, number>();
  for (const event of events) {
    if (event.type === 'disconnected') {
      const connection = `${event.client} (${event.purpose})`;
      lost.set(connection, (lost.get(connection) ?? 0) + 1);
    } else if (event.type === 'warning') {
      found.push(`${event.client}: warning: ${event.error.message}`);
    } else if (event.type === 'retry' && !passingCodes.has(event.error.code)) {
      found.push(`${event.client}: ${event.action}: ${event.error.message}`);
    }
  }
  for (const [connection, times] of lost) {
    if (times > 1) found.push(`${connection} lost its connection ${times} times`);
  }
  return [...found, ...load.errorCodes];
}

test(
  `${faultLength('stop')} times SIGTERM under load: an orderly end, and clients notice a reconnect`,
  async () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const directory = await makeTempDir();
    const dataDir = join(directory.path, 'data');
    const listen = `127.0.0.1:${await freePort(random)}`;
    const launch = (cell: number): BrokerProcess => {
      const how = cells[cell % cells.length] ?? [];
      const args = ['--listen', listen, '--http', 'off', ...how];
      return BrokerProcess.launch(dataDir, args, loadEnvironment);
    };
    const history = new HistoryRecorder();
    const patient = { impatient: false, sessionTimeoutMs: SESSION_TIMEOUT_MS };
    const load = new Load(listen, history, random, patient);
    const stopMs: number[] = [];
    let broker = launch(0);
    try {
      await broker.untilReady();
      await load.createTopics();
      load.start();
      // While it forms, commits are refused for that reason.
      await waitFor('both members of the group have partitions', () => {
        const shared = load.members.every(({ owned }) => owned > 0);
        return shared && load.ownedByGroup === load.groupPartitions;
      });
      load.events.splice(0);
      for (let stop = 1; stop <= faultLength('stop'); stop += 1) {
        await load.progress(200 + random() * 800);
        expect(troubles(load)).toEqual([]);
        const up = history.outage('stop');
        const begunMs = performance.now();
        const code = await stopWithin(broker, STOP_LIMIT_MS);
        stopMs.push(Math.round(performance.now() - begunMs));
        expect({ stop, code }).toEqual({ stop, code: 0 });
        expect(broker.log).not.toContain('drain timed out');
        expect(existsSync(join(dataDir, 'clean'))).toBe(true);
        broker = launch(stop);
        await broker.untilReady();
        up();
        expect(broker.log).toContain('recovery was skipped');
        expect(existsSync(join(dataDir, 'clean'))).toBe(false);
      }
      await load.progress(1_000);
      expect(troubles(load)).toEqual([]);
      await load.finish();
      expect(load.failures).toEqual([]);
      await load.close();
      expect(await broker.stop()).toBe(0);
      expectSound(dataDir);
      const { anomalies, ...figures } = expectNoAnomalies(history);
      expect(anomalies).toEqual([]);
      stopMs.sort((a, b) => a - b);
      const times = { medianMs: stopMs[stopMs.length >> 1], maxMs: stopMs.at(-1) };
      process.stdout.write(
        `stop: ${JSON.stringify({ stops: stopMs.length, times, ...figures })}\n`,
      );
    } catch (error) {
      process.stdout.write(`seed ${seed}, data in ${directory.path}; its log:\n${broker.log}\n`);
      throw error;
    } finally {
      await load.close();
      await broker.kill();
    }
    await rm(directory.path, { recursive: true, force: true });
  },
  faultTimeoutMs('stop', 30_000),
);
