import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { Millrace, type AssignorName } from '@millrace/client';
import { BrokerProcess } from '../support/broker-process.js';
import { checkGroup } from '../support/group-checker.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { makeTempDir } from '../support/temp-dir.js';
import { GroupChurn, type ChurnPlan } from './support/group-churn.js';
import { readMemberLogs } from './support/member-logs.js';
import { readStoredSteps } from './support/stored-steps.js';

/** Kills, stops, leaves and joins, of all groups together. */
const REBALANCES = Number(process.env['MILLRACE_E2E_REBALANCES'] ?? 200);
/** Every group gets each of them. */
const MESSAGES = Number(process.env['MILLRACE_E2E_MESSAGES'] ?? 1_000_000);
const PARTITIONS = 16;
const TOPIC = 'numbers';
const TIME_LIMIT_MS = 300_000;

interface GroupCase {
  readonly group: string;
  readonly assignor: AssignorName;
  readonly sessionTimeoutMs: number;
  readonly victims: number;
}

/** In the first nobody dies, and its session outlasts any stall of the machine. */
const cases: readonly GroupCase[] = [
  { group: 'clean', assignor: 'cooperative-sticky', sessionTimeoutMs: 60_000, victims: 0 },
  { group: 'cooperative', assignor: 'cooperative-sticky', sessionTimeoutMs: 1_200, victims: 2 },
  { group: 'sticky', assignor: 'sticky', sessionTimeoutMs: 1_200, victims: 2 },
  { group: 'range', assignor: 'range', sessionTimeoutMs: 1_200, victims: 2 },
];

const cleanUp: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** Sends its share of the messages with each rebalance, so that they flow through all of them. */
class Numbers {
  readonly #client: Millrace;
  #due = 0;
  #sending: Promise<void> = Promise.resolve();
  #next = 0;
  readonly #producer;

  constructor(client: Millrace) {
    this.#client = client;
    this.#producer = this.#client.producer({ batchBytes: 8 * 1024, lingerMs: 2 });
  }

  /** A message's number says its partition and offset. */
  send(count: number): void {
    this.#due = Math.min(MESSAGES, this.#due + count);
    this.#sending = this.#sending.then(() => this.#sendDue());
  }

  async finish(): Promise<void> {
    this.send(MESSAGES);
    await this.#sending;
    await this.#producer.close();
  }

  async #sendDue(): Promise<void> {
    for (; this.#next < this.#due; this.#next += 1) {
      const value = Buffer.allocUnsafe(4);
      value.writeUInt32LE(this.#next);
      const message = { value, partition: this.#next % PARTITIONS };
      if (!this.#producer.enqueue(TOPIC, message)) await this.#producer.ready();
    }
  }
}

test(
  `${REBALANCES} rebalances while ${MESSAGES} messages flow: each is delivered, and once where nobody died`,
  async () => {
    const seed = testSeed();
    const begunMs = Date.now();
    const directory = await makeTempDir();
    cleanUp.push(directory.remove);
    const broker = await BrokerProcess.start(join(directory.path, 'data'));
    cleanUp.push(() => broker.kill());
    const client = new Millrace({ brokers: [broker.address] });
    cleanUp.push(() => client.close());
    await client.admin.createTopic({ name: TOPIC, partitions: PARTITIONS });

    const numbers = new Numbers(client);
    const share = Math.ceil(MESSAGES / REBALANCES);
    const churns = await Promise.all(
      cases.map(async ({ group, ...how }, index) => {
        const logs = join(directory.path, group);
        await mkdir(logs);
        const home = { address: broker.address, group, topic: TOPIC, directory: logs };
        const rebalances = Math.ceil(REBALANCES / cases.length);
        const plan: ChurnPlan = { ...how, rebalances, partitions: PARTITIONS };
        const random = seededRandom(seed + index);
        const churn = new GroupChurn(home, plan, client, random, () => numbers.send(share));
        cleanUp.push(() => churn.kill());
        await churn.start();
        return { group, logs, churn };
      }),
    );
    await Promise.all(churns.map(({ churn }) => churn.run()));
    await numbers.finish();
    await Promise.all(churns.map(({ churn }) => churn.drained()));
    const generations = await Promise.all(churns.map(({ churn }) => churn.describe()));
    await Promise.all(churns.map(({ churn }) => churn.end()));

    const endOffsets = (await client.admin.offsets(TOPIC)).map(({ end }) => end);
    expect(endOffsets.reduce((sum, end) => sum + end, 0)).toBe(MESSAGES);
    const stored = await readStoredSteps(client);
    for (const [index, { group, logs, churn }] of churns.entries()) {
      const { tenures, faults, ...seen } = await readMemberLogs(logs, (member) =>
        churn.harmedAtMs(member),
      );
      const history = { endOffsets, tenures, stored: stored.get(group) ?? [] };
      const { anomalies, duplicates, delivered } = checkGroup(history);
      const generation = generations[index]?.generation;
      const told = { group, ...churn.counts, generation, delivered, duplicates, ...seen };
      process.stdout.write(`${JSON.stringify(told)}\n`);
      expect({ group, faults, anomalies }).toEqual({ group, faults: [], anomalies: [] });
      if (group === 'clean') expect(duplicates).toBe(0);
    }
    // Some come together; most of them take two generations with cooperative members.
    const rebalances = generations.reduce((sum, { generation }) => sum + generation, 0);
    expect(rebalances).toBeGreaterThanOrEqual(REBALANCES);
    process.stdout.write(`took ${(Date.now() - begunMs) / 1_000} s\n`);
  },
  TIME_LIMIT_MS,
);
