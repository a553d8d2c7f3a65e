import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { DeliveryError, Millrace } from '@millrace/client';
import { persistNames } from '../../broker/src/modes.js';
import { BrokerProcess } from '../support/broker-process.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { makeTempDir } from '../support/temp-dir.js';
import { checkHistory } from './checker/check-history.js';
import { explain } from './checker/explain.js';
import { HistoryRecorder } from './checker/recorder.js';
import { Load, loadEnvironment, type LoadShape } from './load/load.js';
import { compiled, missingCompiler } from './support/compiled.js';
import { faultLength, faultTimeoutMs, skipped } from './support/length.js';
import { refusal } from './support/refusal.js';

/** How long a probe may be tried again: less than a shortage lasts. */
const PROBE_MS = 300;

const small = { 'segment.bytes': '65536', 'max.message.bytes': '65536', 'flush.ms': '50' };
const slow = { messagesPerSecond: 200, maxValueBytes: 1_500 };
const shape: LoadShape = {
  topics: [
    { name: 'kept', partitions: 3, config: small, retention: false },
    {
      ...{ name: 'rolling', partitions: 2, retention: true },
      config: { ...small, 'retention.bytes': '131072' },
    },
  ],
  producers: [
    { ...slow, topicIndex: 0, acks: 'all' },
    { ...slow, topicIndex: 0, acks: 1 },
    { ...slow, topicIndex: 1, acks: 'all' },
    { ...slow, topicIndex: 1, acks: 1 },
  ],
};

const rounds = faultLength('limits');
const timeoutMs = faultTimeoutMs('limits');
const cleanUp: (() => Promise<void>)[] = [];

let missing: string | undefined;
beforeAll(() => {
  missing = missingCompiler();
  if (missing !== undefined) skipped('limits of a process', missing);
});

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Opens so many connections, and resolves when the broker has hung up on some of them. */
async function crowd(address: string, connections: number): Promise<void> {
  const [host = '', port] = address.split(':');
  let refused = 0;
  const sockets = Array.from({ length: connections }, () => {
    const socket = connect(Number(port), host);
    socket.on('error', () => undefined).on('close', () => void (refused += 1));
    return socket;
  });
  await until(() => refused > 0);
  for (const socket of sockets) socket.destroy();
  await until(() => refused === connections);
}

/** A broker under load, which is checked in the end. */
class LimitedBroker {
  readonly #history = new HistoryRecorder();
  readonly #load: Load;
  /** A client whose connections are there before anything runs short. */
  readonly probe: Millrace;
  #probes = 0;

  private constructor(
    readonly broker: BrokerProcess,
    random: () => number,
  ) {
    this.#load = new Load(broker.address, this.#history, random, { shape, impatient: false });
    this.probe = this.#load.client('probe');
  }

  static async start(
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
    random: () => number,
    under: readonly string[] = [],
  ): Promise<LimitedBroker> {
    const directory = await makeTempDir();
    cleanUp.push(directory.remove);
    const env = { ...loadEnvironment, ...environment };
    const broker = BrokerProcess.launch(join(directory.path, 'data'), args, env, under);
    cleanUp.push(() => broker.kill());
    await broker.untilReady();
    const limited = new LimitedBroker(broker, random);
    cleanUp.push(() => limited.#load.close());
    await limited.#load.createTopics();
    limited.#load.start();
    return limited;
  }

  /** Resolves when so many more messages were acknowledged. */
  async goesOn(messages = 50): Promise<void> {
    const target = this.#load.acknowledged + messages;
    await until(() => this.#load.acknowledged >= target);
  }

  /**
   * What sends to a partition that was never written to, and so has no file yet. Its producer has its
   * connection and its id already.
   */
  async freshTopic(): Promise<() => Promise<DeliveryError>> {
    const topic = `probe-${this.#probes++}`;
    const { admin } = this.probe;
    await admin.createTopic({ name: 'warm', ifNotExists: true });
    await admin.createTopic({ name: topic, config: small });
    const producer = this.probe.producer({ deliveryTimeoutMs: PROBE_MS });
    const warm = (): Promise<boolean> =>
      producer.send('warm', { value: 'x' }).then(
        () => true,
        () => false,
      );
    while (!(await warm()));
    return async () => {
      const failure = await refusal(() => producer.send(topic, { value: 'x' }));
      await producer.close();
      return failure;
    };
  }

  async finish(): Promise<void> {
    await this.#load.finish();
    expect(this.#load.failures).toEqual([]);
    // A topic that is deleted may take an append with it.
    const offline = (line: string): boolean =>
      line.includes('is offline') && !line.includes('"log":"many-');
    expect(this.broker.log.split('\n').filter(offline)).toEqual([]);
    await this.#load.close();
    expect(await this.broker.stop()).toBe(0);
    const { anomalies, ...counts } = checkHistory(this.#history);
    process.stdout.write(`limits: ${JSON.stringify(counts)}\n`);
    expect(anomalies.map((anomaly) => explain(this.#history, anomaly))).toEqual([]);
  }
}

/** Of the broker whose descriptors run out: for its logs, sockets, and what it has open besides. */
const OPEN_FILES = 200;
/** What sending to all of them may take, refusals included. */
const MANY_MS = 3_000;
/** More partitions than that. */
const MANY_PARTITIONS = 250;

/** A broker that gets no mapping while the file at `shortage` is there. */
async function mapsCanLack(
  args: readonly string[],
  random: () => number,
): Promise<{ readonly limited: LimitedBroker; readonly shortage: string }> {
  const directory = await makeTempDir();
  cleanUp.push(directory.remove);
  const shortage = join(directory.path, 'shortage');
  const environment = {
    LD_PRELOAD: compiled('no-maps', 'library'),
    NO_MAPS_WHILE: shortage,
  };
  return { limited: await LimitedBroker.start(args, environment, random), shortage };
}

describe('at its limit', () => {
  test(
    'of open files a broker refuses what needs one, goes on with the rest, and loses nothing',
    async () => {
      const random = seededRandom(testSeed());
      const limited = await LimitedBroker.start(
        ['--persist', persistNames[Math.floor(random() * persistNames.length)] ?? ''],
        { MILLRACE_MAX_OPEN_SEGMENT_FILES: '16' },
        random,
        // Soft and hard: Node raises the one to the other.
        ['sh', '-c', `ulimit -n ${OPEN_FILES}; exec "$0" "$@"`],
      );
      for (let round = 0; round < rounds; round += 1) {
        await limited.goesOn();
        const { admin } = limited.probe;
        await admin.createTopic({ name: 'many', partitions: MANY_PARTITIONS });
        const producer = limited.probe.producer({ deliveryTimeoutMs: MANY_MS });
        let sent = 0;
        const error = await refusal(() => {
          const round = Array.from({ length: MANY_PARTITIONS }, () => {
            const partition = sent++ % MANY_PARTITIONS;
            return producer.send('many', { value: 'x', partition });
          });
          return Promise.all(round);
        });
        expect(error.cause).toMatchObject({ code: 'STORAGE_ERROR', retriable: true });
        expect(String(error)).toMatch(/EMFILE.*ulimit -n/);
        await producer.close();
        // Connections beyond those there is room for are hung up on, and hold up nobody else.
        await crowd(limited.broker.address, OPEN_FILES);
        await admin.deleteTopic('many');
        await limited.goesOn();
      }
      await limited.finish();
    },
    timeoutMs,
  );

  test('of mappings a broker that appends adaptively goes on: it can do without', async () => {
    if (missing !== undefined) return;
    const random = seededRandom(testSeed());
    const { limited, shortage } = await mapsCanLack(['--persist', 'adaptive'], random);
    await limited.goesOn();
    await writeFile(shortage, '');
    await limited.probe.admin.createTopic({ name: 'new', config: small });
    await using producer = limited.probe.producer({ deliveryTimeoutMs: 10_000 });
    await producer.send('new', { value: 'x' });
    await limited.goesOn();
    await rm(shortage);
    await limited.finish();
  });

  test.each(['sendfile', 'mmap'])(
    'of mappings a broker (serve %s) refuses what needs one, and loses nothing',
    async (serve) => {
      if (missing !== undefined) return;
      const random = seededRandom(testSeed());
      const args = ['--persist', 'mmap', '--serve', serve];
      const { limited, shortage } = await mapsCanLack(args, random);
      for (let round = 0; round < rounds; round += 1) {
        await limited.goesOn();
        const send = await limited.freshTopic();
        await writeFile(shortage, '');
        const error = await send();
        expect(error).toMatchObject({ cause: { code: 'STORAGE_ERROR', retriable: true } });
        expect(String(error)).toContain('vm.max_map_count');
        await rm(shortage);
        await limited.goesOn();
      }
      expect(existsSync(shortage)).toBe(false);
      await limited.finish();
    },
    timeoutMs,
  );
});
