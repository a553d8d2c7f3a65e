import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { BrokerProcess } from '../support/broker-process.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { makeTempDir } from '../support/temp-dir.js';
import type { HistoryFindings } from './checker/check-history.js';
import { expectNoAnomalies } from './checker/expect-no-anomalies.js';
import { HistoryRecorder } from './checker/recorder.js';
import { Load, loadEnvironment } from './load/load.js';
import { cells } from './support/cells.js';
import { freePort } from './support/free-port.js';
import { expectSound } from './support/expect-sound.js';
import { faultLength, faultTimeoutMs } from './support/length.js';

/** With a data directory and a history of their own, for a history is held in memory. */
const CYCLES_PER_ROUND = 20;
/** Of all kills. */
const SHARE = { whileStarting: 0.2, justAfterStart: 0.1, whileStopping: 0.15 } as const;

interface KillCounts {
  cycles: number;
  beforeReady: number;
  whileStopping: number;
  cutTails: number;
}

/** One data directory, whose broker is killed again and again under the same load. */
class KillRound {
  readonly #history = new HistoryRecorder();
  readonly #random: () => number;
  readonly #dataDir: string;
  readonly #counts: KillCounts;
  #listen = '';
  #load: Load | undefined;
  #broker: BrokerProcess | undefined;
  #up: (() => void) | undefined;
  #startMs = 500;

  constructor(dataDir: string, random: () => number, counts: KillCounts) {
    this.#dataDir = dataDir;
    this.#random = random;
    this.#counts = counts;
  }

  /** @param firstCell which of the cells the first broker has; the others follow in turn */
  async run(cycles: number, firstCell: number): Promise<HistoryFindings> {
    try {
      this.#listen = `127.0.0.1:${await freePort(this.#random)}`;
      await this.#launch(firstCell).untilReady();
      const load = new Load(this.#listen, this.#history, this.#random);
      this.#load = load;
      await load.createTopics();
      load.start();
      for (let cycle = 0; cycle < cycles; cycle += 1) {
        await this.#kill();
        this.#counts.cycles += 1;
        await this.#startAgain(firstCell + cycle + 1);
      }
      await load.progress(50);
      await load.finish();
      expect(load.failures).toEqual([]);
      await load.close();
      expect(await this.#broker?.stop()).toBe(0);
      expectSound(this.#dataDir);
      return expectNoAnomalies(this.#history);
    } finally {
      await this.#load?.close();
      await this.#broker?.kill();
    }
  }

  #launch(cell: number): BrokerProcess {
    const how = cells[cell % cells.length] ?? [];
    const args = ['--listen', this.#listen, '--http', 'off', ...how];
    this.#broker = BrokerProcess.launch(this.#dataDir, args, loadEnvironment);
    return this.#broker;
  }

  async #kill(): Promise<void> {
    const dice = this.#random();
    if (dice < SHARE.justAfterStart) await this.#delay(20);
    else await this.#load?.progress(1 + this.#random() * 500);
    this.#up ??= this.#history.outage('kill');
    if (dice > 1 - SHARE.whileStopping) {
      this.#counts.whileStopping += 1;
      const stopped = this.#broker?.stop('SIGTERM');
      await Promise.race([this.#delay(60), stopped]);
    }
    await this.#broker?.kill();
  }

  /** Also several times, where the kill comes while it starts. */
  async #startAgain(cell: number): Promise<void> {
    for (;;) {
      const begunMs = performance.now();
      const broker = this.#launch(cell);
      if (this.#random() < SHARE.whileStarting) {
        // Most of a start is Node's own; recovery comes at its end.
        const share = 0.5 + this.#random() * 0.6;
        const ready = broker.untilReady().then(() => true);
        const early = this.#delay(share * this.#startMs, 1).then(() => false);
        if (!(await Promise.race([ready, early]))) {
          ready.catch(() => undefined);
          this.#counts.cycles += 1;
          this.#counts.beforeReady += 1;
          await broker.kill();
          continue;
        }
      } else await broker.untilReady();
      this.#startMs = performance.now() - begunMs;
      this.#counts.cutTails += broker.log.split('recovery cut an un-synced tail').length - 1;
      this.#up?.();
      this.#up = undefined;
      return;
    }
  }

  /** A random time up to the given, or at least the given share of it. */
  async #delay(maxMs: number, atLeast = 0): Promise<void> {
    const ms = maxMs * (atLeast + (1 - atLeast) * this.#random());
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}

test(
  `${faultLength('kill')} times kill -9 under load loses, repeats and reorders nothing`,
  async () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const length = faultLength('kill');
    const counts: KillCounts = { cycles: 0, beforeReady: 0, whileStopping: 0, cutTails: 0 };
    const totals = { sent: 0, acknowledged: 0, unknown: 0, stored: 0, read: 0 };
    for (let round = 0; counts.cycles < length; round += 1) {
      const directory = await makeTempDir();
      const kills = Math.min(CYCLES_PER_ROUND, length - counts.cycles);
      try {
        const one = new KillRound(join(directory.path, 'data'), random, counts);
        const findings = await one.run(kills, counts.cycles);
        for (const key of Object.keys(totals) as (keyof typeof totals)[]) {
          totals[key] += findings[key];
        }
      } catch (error) {
        process.stdout.write(`round ${round}, seed ${seed}, data in ${directory.path}\n`);
        throw error;
      }
      await rm(directory.path, { recursive: true, force: true });
      process.stdout.write(`kill: ${JSON.stringify({ ...counts, ...totals })}\n`);
    }
    expect(totals.acknowledged).toBeGreaterThan(length);
  },
  faultTimeoutMs('kill', 20_000),
);
