import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from '@jest/globals';
import { persistNames } from '../../../broker/src/modes.js';
import type { PersistName } from '../../../broker/src/modes.js';
import { BrokerProcess } from '../../support/broker-process.js';
import { checkHistory } from '../checker/check-history.js';
import { explain } from '../checker/explain.js';
import { HistoryRecorder } from '../checker/recorder.js';
import { Load, loadEnvironment } from '../load/load.js';
import { freePort } from './free-port.js';
import { injectedIn, pathsOf, strace } from './strace.js';
import type { Injection, Tampering } from './strace.js';

/** A call, and what it may be made to do. */
export interface TamperedCall {
  readonly call: string;
  /** Where only one way to persist makes it. */
  readonly persist?: PersistName;
  readonly injections: readonly Injection[];
  /** Node makes it too: only on the files that are there. */
  readonly onFiles?: boolean;
}

export interface TamperingCounts {
  brokers: number;
  /** Calls that were tampered with. */
  injected: number;
  /** Brokers that ended before they were ready: refused, or killed. */
  beforeReady: number;
  readonly byCall: Record<string, number>;
}

/** A broker runs until it met its fault, and a little longer; or so long. */
const LONGEST_RUN_MS = 2_500;
/** It only ends what hangs. */
const PROBE_TIMEOUT_MS = 30_000;
const PROBES = [0, 1, 2, 3, 4, 5, 6, 7];
const command = fileURLToPath(new URL('../../../broker/bin/millrace-broker.js', import.meta.url));

/** One data directory and one load; one broker after the other, whose calls are tampered with. */
class TamperedRound {
  readonly #history = new HistoryRecorder();
  readonly #ups: (() => void)[] = [];
  #listen = '';
  #broker: BrokerProcess | undefined;
  #load: Load | undefined;

  constructor(
    private readonly directory: string,
    private readonly random: () => number,
    private readonly counts: TamperingCounts,
  ) {}

  async run(plan: readonly TamperedCall[]): Promise<void> {
    try {
      this.#listen = `127.0.0.1:${await freePort(this.random)}`;
      await this.#startSound();
      const load = new Load(this.#listen, this.#history, this.random);
      this.#load = load;
      await load.createTopics();
      load.start();
      await load.client('admin').admin.createTopic({ name: 'probe', partitions: PROBES.length });
      await this.#progress(50);
      for (const call of plan) await this.#runTampered(call);
      await this.#broker?.kill();
      await this.#startSound();
      await this.#progress(100);
      await load.finish();
      expect(load.failures).toEqual([]);
      await load.close();
      expect(await this.#broker?.stop()).toBe(0);
      this.#verify();
      this.#check();
    } finally {
      await this.#load?.close();
      await this.#broker?.kill();
    }
  }

  get #data(): string {
    return join(this.directory, 'data');
  }

  #launch(persist: string, under: readonly string[] = []): BrokerProcess {
    const args = ['--listen', this.#listen, '--http', 'off', '--persist', persist];
    this.#broker = BrokerProcess.launch(this.#data, args, loadEnvironment, under);
    return this.#broker;
  }

  async #startSound(): Promise<void> {
    await this.#launch(this.#pick(persistNames)).untilReady();
    for (const up of this.#ups.splice(0)) up();
  }

  async #runTampered(tampered: TamperedCall): Promise<void> {
    const { call, injections, onFiles = false, persist = this.#pick(persistNames) } = tampered;
    const injection = this.#pick(injections);
    const kills = injection === 'signal=KILL';
    // What was not synced before a sync failed is given up, as by a power cut.
    this.#ups.push(this.#history.outage(kills ? 'kill' : 'power-cut'));
    await this.#broker?.kill();
    const tampering: Tampering = {
      ...{ call, injection, andOn: !kills && this.random() < 0.2 },
      when: 1 + Math.floor(this.random() ** 2 * (onFiles || kills ? 8 : 40)),
      ...(onFiles ? { paths: await pathsOf(this.#data) } : {}),
    };
    const output = join(this.directory, `strace-${this.counts.brokers}`);
    const broker = this.#launch(persist, strace(tampering, output));
    this.counts.brokers += 1;
    const what = JSON.stringify({ ...tampering, paths: undefined, persist });
    const ready = await broker.untilReady().then(
      () => true,
      () => false,
    );
    if (!ready) this.counts.beforeReady += 1;
    if (kills && (await this.#isKilled(broker))) this.#count(call, 1);
    else if (kills) return;
    else if (ready) await this.#livesOn(broker, output, what, tampering.andOn === true);
    else this.#refusedToStart(broker, what);
    // Strace does not say so of signals.
    if (!kills) this.#count(call, injectedIn(output));
  }

  #count(call: string, injected: number): void {
    this.counts.injected += injected;
    this.counts.byCall[call] = (this.counts.byCall[call] ?? 0) + injected;
  }

  /** By the call, which makes it true, or after a while from here. */
  async #isKilled(broker: BrokerProcess): Promise<boolean> {
    const until = performance.now() + LONGEST_RUN_MS;
    while (performance.now() < until && broker.ended === undefined) await delay(20);
    const byCall = broker.ended !== undefined;
    await broker.kill();
    expect(broker.ended).toBe('SIGKILL');
    return byCall;
  }

  /** Until the fault was met, and after it: the broker is there, and takes what it can. */
  async #livesOn(
    broker: BrokerProcess,
    output: string,
    what: string,
    andOn: boolean,
  ): Promise<void> {
    const until = performance.now() + LONGEST_RUN_MS;
    while (injectedIn(output) === 0 && performance.now() < until && broker.ended === undefined) {
      await delay(20);
    }
    if (!andOn) await this.#takesMessages(what);
    await delay(100);
    // It must not have ended by itself, whatever failed.
    expect([what, broker.ended, broker.ended === undefined ? '' : broker.log]).toEqual([
      ...[what, undefined, ''],
    ]);
    if (this.random() < 0.3) {
      const code = await Promise.race([broker.stop(), delay(20_000, 'it hangs')]);
      expect([what, code === 0 || code === 1 ? '' : code]).toEqual([what, '']);
    }
  }

  /** Of many partitions some had no part in what failed. */
  async #takesMessages(what: string): Promise<void> {
    const client = this.#load?.client('probe');
    if (client === undefined) return;
    const producer = client.producer({
      deliveryTimeoutMs: PROBE_TIMEOUT_MS,
      onError: () => undefined,
    });
    const sends = PROBES.map((partition) => producer.send('probe', { value: 'x', partition }));
    // Any one will do: which of them the fault may have met is not known.
    await Promise.any(sends).catch((error: unknown) => {
      const { errors } = error as AggregateError;
      throw new Error(`${what}: no partition takes messages: ${errors.join('; ')}`);
    });
    await client.close();
  }

  #refusedToStart(broker: BrokerProcess, what: string): void {
    // In good order, with the reason on the last line; 2 where a way to persist was found not to work there.
    expect([what, [1, 2].includes(Number(broker.ended))]).toEqual([what, true]);
    expect(broker.log).toMatch(/^millrace-broker: .+/m);
  }

  async #progress(messages: number): Promise<void> {
    const load = this.#load;
    if (load === undefined) return;
    const until = load.acknowledged + messages;
    while (load.acknowledged < until && load.failures.length === 0) await delay(5);
  }

  #verify(): void {
    const { status, stdout } = spawnSync(process.execPath, [command, 'verify', this.#data], {
      encoding: 'utf8',
    });
    expect({ status, stdout: status === 0 ? '' : stdout }).toEqual({ status: 0, stdout: '' });
  }

  #check(): void {
    const { anomalies } = checkHistory(this.#history);
    expect(anomalies.map((anomaly) => explain(this.#history, anomaly))).toEqual([]);
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.random() * items.length)] as Item;
  }
}

const BROKERS_PER_ROUND = 13;

/** Runs a plan on as many data directories as it takes. @returns what was done */
export async function tamper(
  plan: readonly TamperedCall[],
  random: () => number,
  makeDirectory: () => Promise<{ path: string; remove: () => Promise<void> }>,
): Promise<TamperingCounts> {
  const counts: TamperingCounts = { brokers: 0, injected: 0, beforeReady: 0, byCall: {} };
  for (let at = 0; at < plan.length; at += BROKERS_PER_ROUND) {
    const directory = await makeDirectory();
    try {
      const round = new TamperedRound(directory.path, random, counts);
      await round.run(plan.slice(at, at + BROKERS_PER_ROUND));
    } catch (error) {
      process.stdout.write(`data and traces are in ${directory.path}\n`);
      throw error;
    }
    await directory.remove();
    process.stdout.write(`${JSON.stringify(counts)}\n`);
  }
  return counts;
}
