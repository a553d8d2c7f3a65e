import { Millrace, type ClientEvent } from '@millrace/client';
import type { FinalLog } from '../checker/history.js';
import { partitionName } from '../checker/history.js';
import type { HistoryRecorder } from '../checker/recorder.js';
import { LoadConsumer } from './load-consumer.js';
import { LoadMember } from './load-member.js';
import { LoadProducer, type LoadProducerSpec } from './load-producer.js';
import { readLogs } from './read-logs.js';

/** A topic of a load. */
export interface LoadTopic {
  readonly name: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
  /** Whether its beginning moves. */
  readonly retention: boolean;
}

/** All segments are small, so that they roll, and files of all kinds are written all the time. */
export const loadTopics: readonly LoadTopic[] = [
  {
    name: 'kept',
    partitions: 4,
    config: { 'segment.bytes': '65536', 'flush.ms': '50', 'index.interval.bytes': '1024' },
    retention: false,
  },
  {
    name: 'rolling',
    partitions: 2,
    config: {
      ...{ 'segment.bytes': '32768', 'retention.bytes': '98304', 'flush.ms': '50' },
      'index.interval.bytes': '1024',
    },
    retention: true,
  },
];

/** Settings of a broker under a load: what happens every second or minute happens all the time. */
export const loadEnvironment: Readonly<Record<string, string>> = {
  MILLRACE_RETENTION_CHECK_INTERVAL_MS: '100',
  MILLRACE_CHECKPOINT_INTERVAL_MS: '20',
  MILLRACE_OFFSET_CEILING_BLOCK: '500',
  MILLRACE_PRODUCER_ID_BLOCK: '2',
  MILLRACE_CLEANER_INTERVAL_MS: '200',
};

const producers: readonly Omit<LoadProducerSpec, 'number' | 'topic' | 'partitions'>[] = [
  { acks: 'all', options: { compression: 'none', batchBytes: 4_096 } },
  { acks: 1, options: { compression: 'lz4', batchBytes: 16_384, lingerMs: 2 } },
  { acks: 'all', options: { compression: 'zstd', lingerMs: 5 }, maxValueBytes: 3_000 },
  { acks: 1, options: { compression: 'gzip', batchBytes: 1_024 }, messagesPerSecond: 500 },
  // It gives up soon, so that there are messages of which nobody knows whether they are stored.
  { acks: 1, options: { deliveryTimeoutMs: 300 }, messagesPerSecond: 200 },
  {
    acks: 'all',
    options: { compression: 'snappy', deliveryTimeoutMs: 300 },
    maxPending: 20,
    messagesPerSecond: 200,
  },
];

/**
 * Producers of all kinds, two consumers of each topic and a group of two members, each with a client of its
 * own, on a broker that may come and go.
 */
export class Load {
  readonly producers: LoadProducer[] = [];
  readonly consumers: LoadConsumer[] = [];
  readonly members: LoadMember[] = [];
  /** Events of all clients. */
  readonly events: (ClientEvent & { readonly client: string })[] = [];
  readonly #address: string;
  readonly #history: HistoryRecorder;
  readonly #random: () => number;
  readonly #clients: Millrace[] = [];

  constructor(address: string, history: HistoryRecorder, random: () => number) {
    this.#address = address;
    this.#history = history;
    this.#random = random;
  }

  /** Makes the topics and starts everything. The broker has to be there. */
  async start(): Promise<void> {
    const { admin } = this.client('admin');
    for (const { name, partitions, config } of loadTopics) {
      await admin.createTopic({ name, partitions, config });
    }
    for (const [number, spec] of producers.entries()) {
      const topic = loadTopics[number % loadTopics.length] as LoadTopic;
      const { name, partitions } = topic;
      const own = { ...spec, number, topic: name, partitions };
      const client = this.client(`producer${number}`);
      this.producers.push(new LoadProducer(client, this.#history, own, this.#random));
    }
    for (const { name: topic, retention } of loadTopics) {
      for (const name of [`${topic}-reader-a`, `${topic}-reader-b`]) {
        const spec = { name, topic, retention };
        this.consumers.push(new LoadConsumer(this.client(name), this.#history, spec));
      }
    }
    for (const name of ['member-a', 'member-b']) {
      const spec = { name, group: 'team', topic: 'kept' };
      this.members.push(new LoadMember(this.client(name), this.#history, spec, this.#random));
    }
    for (const part of [...this.consumers, ...this.members, ...this.producers]) part.start();
  }

  /** Messages acknowledged so far. */
  get acknowledged(): number {
    return this.producers.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  /** What ended a consumer or a member; empty as long as all is well. */
  get failures(): string[] {
    return [...this.consumers, ...this.members].flatMap(({ failure }) =>
      failure === undefined ? [] : [failure instanceof Error ? (failure.stack ?? '') : 'unknown'],
    );
  }

  /**
   * Sends no more, waits until the fate of each message is known and every consumer and the group have
   * everything, and reads the logs into the history. The broker has to stay.
   */
  async finish(): Promise<void> {
    await Promise.all(this.producers.map((producer) => producer.stop()));
    const logs: FinalLog[] = [];
    for (const { name, retention } of loadTopics) {
      logs.push(...(await readLogs(this.client('reader'), this.#history, name, retention)));
    }
    const ends = new Map(logs.map((log) => [log.partition, log.records.at(-1)?.offset ?? -1]));
    while (this.failures.length === 0 && !this.#haveAll(ends)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await Promise.all([...this.consumers, ...this.members].map((part) => part.stop()));
  }

  /** Ends all clients; what is under way is given up. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close().catch(() => undefined)));
  }

  client(name: string): Millrace {
    const client = new Millrace({
      ...{ brokers: [this.#address], clientId: name, reconnectBackoffMaxMs: 200 },
      closeTimeoutMs: 2_000,
      onEvent: (event) => this.events.push({ ...event, client: name }),
    });
    this.#clients.push(client);
    return client;
  }

  #haveAll(ends: ReadonlyMap<string, number>): boolean {
    return loadTopics.every(({ name, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => partition).every((partition) => {
        const end = ends.get(partitionName(name, partition)) ?? -1;
        const readers = this.consumers.filter(({ topic }) => topic === name);
        if (readers.some((reader) => reader.position(partition) <= end)) return false;
        const members = this.members.filter(({ topic }) => topic === name);
        if (members.length === 0) return true;
        return Math.max(...members.map((member) => member.committed(partition))) > end;
      }),
    );
  }
}
