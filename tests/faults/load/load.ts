import { BrokerError, Millrace, type ClientEvent } from '@millrace/client';
import type { FinalLog } from '../checker/history.js';
import { partitionName } from '../checker/history.js';
import type { HistoryRecorder } from '../checker/recorder.js';
import { waitFor } from '../../support/wait-for.js';
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

/** A producer of a load, at the topic with that index. */
export interface ShapedProducer extends Omit<LoadProducerSpec, 'number' | 'topic' | 'partitions'> {
  readonly topicIndex: number;
}

/** What a load is about. */
export interface LoadShape {
  /** A group reads the first of them. */
  readonly topics: readonly LoadTopic[];
  readonly producers: readonly ShapedProducer[];
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

/** The usual one: every option of producers, with and without retention. */
const usualShape: LoadShape = {
  topics: loadTopics,
  producers: [
    { topicIndex: 0, acks: 'all', options: { compression: 'none', batchBytes: 4_096 } },
    { topicIndex: 1, acks: 1, options: { compression: 'lz4', batchBytes: 16_384, lingerMs: 2 } },
    {
      ...{ topicIndex: 0, acks: 'all', maxValueBytes: 3_000 },
      options: { compression: 'zstd', lingerMs: 5 },
    },
    {
      ...{ topicIndex: 1, acks: 1, messagesPerSecond: 500 },
      options: { compression: 'gzip', batchBytes: 1_024 },
    },
  ],
};

/** They give up soon, so that there are messages of which nobody knows whether they are stored. */
const impatientProducers: readonly ShapedProducer[] = [
  { topicIndex: 0, acks: 1, options: { deliveryTimeoutMs: 300 }, messagesPerSecond: 200 },
  {
    ...{ topicIndex: 1, acks: 'all', maxPending: 20, messagesPerSecond: 200 },
    options: { compression: 'snappy', deliveryTimeoutMs: 300 },
  },
];

const LOAD_GROUP = 'team';

/** Of each client, where one does not get on. */
const LAST_EVENTS = 12;

function told(event: ClientEvent): string {
  const error = 'error' in event ? event.error : undefined;
  return `  ${JSON.stringify(event)} ${error === undefined ? '' : String(error)}`;
}

/** What a load is made of; by default everything. */
export interface LoadOptions {
  /** Default: every option of producers, with and without retention. */
  readonly shape?: LoadShape;
  /** Begins the names of its clients, and is other than that of another load on the same history. */
  readonly prefix?: string;
  /** Where its producers' numbers begin. Default 0. */
  readonly firstProducer?: number;
  readonly produces?: boolean;
  readonly consumes?: boolean;
  /** Whether some producers give up after 300 ms. Default true. */
  readonly impatient?: boolean;
  /** Of the group. Default 3,000. */
  readonly sessionTimeoutMs?: number;
  /** Of its clients. */
  readonly requestTimeoutMs?: number;
}

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
  readonly #options: LoadOptions;
  readonly #shape: LoadShape;
  #reader: Millrace | undefined;
  readonly #clients: Millrace[] = [];

  constructor(
    address: string,
    history: HistoryRecorder,
    random: () => number,
    options: LoadOptions = {},
  ) {
    this.#address = address;
    this.#history = history;
    this.#random = random;
    this.#options = options;
    this.#shape = options.shape ?? usualShape;
  }

  async createTopics(): Promise<void> {
    const { admin } = this.client('admin');
    for (const { name, partitions, config } of this.#shape.topics) {
      await admin.createTopic({ name, partitions, config });
    }
  }

  /** The topics have to be there. */
  start(): void {
    const { produces = true, consumes = true } = this.#options;
    if (produces) this.#addProducers();
    if (consumes) this.#addConsumers();
    for (const part of [...this.consumers, ...this.members, ...this.producers]) part.start();
  }

  #addProducers(): void {
    const { firstProducer = 0, impatient = true, requestTimeoutMs } = this.#options;
    const { topics, producers } = this.#shape;
    const all = [...producers, ...(impatient ? impatientProducers : [])];
    for (const [index, { topicIndex, ...kind }] of all.entries()) {
      const number = firstProducer + index;
      const topic = topics[topicIndex] as LoadTopic;
      const spec = { ...kind, number, topic: topic.name, partitions: topic.partitions };
      const client = this.client(`producer${number}`, requestTimeoutMs);
      this.producers.push(new LoadProducer(client, this.#history, spec, this.#random));
    }
  }

  #addConsumers(): void {
    const { prefix = '', sessionTimeoutMs = 3_000, requestTimeoutMs } = this.#options;
    for (const { name: topic, retention } of this.#shape.topics) {
      for (const name of [`${prefix}${topic}-reader-a`, `${prefix}${topic}-reader-b`]) {
        const spec = { name, topic, retention };
        this.consumers.push(
          new LoadConsumer(this.client(name, requestTimeoutMs), this.#history, spec),
        );
      }
    }
    const grouped = this.#shape.topics[0]?.name ?? '';
    for (const name of [`${prefix}member-a`, `${prefix}member-b`]) {
      const options = { sessionTimeoutMs, heartbeatIntervalMs: Math.ceil(sessionTimeoutMs / 10) };
      const spec = { name, group: LOAD_GROUP, topic: grouped, options };
      this.members.push(
        new LoadMember(this.client(name, requestTimeoutMs), this.#history, spec, this.#random),
      );
    }
  }

  /** Messages acknowledged so far. */
  get acknowledged(): number {
    return this.producers.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  /** Records that consumers without a group got. */
  get read(): number {
    return this.consumers.reduce((sum, { read }) => sum + read, 0);
  }

  /** Records that members of the group got. */
  get readByGroup(): number {
    return this.members.reduce((sum, { read }) => sum + read, 0);
  }

  /** Partitions that members of this load have. */
  get ownedByGroup(): number {
    return this.members.reduce((sum, { owned }) => sum + owned, 0);
  }

  /** Partitions that the group shares. */
  get groupPartitions(): number {
    const [topic = ''] = this.members.map((member) => member.topic);
    return this.#partitionsOf(topic).length;
  }

  /** What ended a consumer or a member; empty as long as all is well. */
  get failures(): string[] {
    return [...this.consumers, ...this.members].flatMap(({ failure }) =>
      failure === undefined ? [] : [failure instanceof Error ? (failure.stack ?? '') : 'unknown'],
    );
  }

  /** Waits until so many more messages are acknowledged. @throws Error when a consumer has failed */
  async progress(messages: number): Promise<void> {
    const until = this.acknowledged + messages;
    await waitFor(`${messages} messages are acknowledged`, () => {
      const [failure] = this.failures;
      if (failure !== undefined) throw new Error(failure);
      return this.acknowledged >= until;
    });
  }

  /** Codes of errors that reached the application from a send or a commit. */
  get errorCodes(): string[] {
    return [
      ...this.producers.flatMap(({ failures }) => [...failures.keys()]),
      ...this.members.flatMap(({ refused }) => [...refused.keys()]),
    ];
  }

  /**
   * Sends no more, waits until the fate of each message is known and every consumer and the group have
   * everything, and reads the logs into the history. The broker has to stay.
   */
  async finish(): Promise<void> {
    await this.settle();
    await this.catchUp(await this.readLogs());
  }

  /** Sends no more, and waits until the fate of each message is known. */
  async settle(): Promise<void> {
    await Promise.all(this.producers.map((producer) => producer.stop()));
  }

  /** Reads the logs into the history, when all loads have settled. */
  async readLogs(): Promise<readonly FinalLog[]> {
    const logs: FinalLog[] = [];
    for (const { name, retention } of this.#shape.topics) {
      logs.push(...(await readLogs(this.client('reader'), this.#history, name, retention)));
    }
    return logs;
  }

  /**
   * Waits until every consumer has what the logs hold, and the group has committed it, and stops them.
   */
  async catchUp(logs: readonly FinalLog[]): Promise<void> {
    const ends = new Map(logs.map((log) => [log.partition, log.records.at(-1)?.offset ?? -1]));
    await waitFor(
      'consumers and the group have everything',
      async () =>
        this.failures.length > 0 || (this.#hasRead(ends) && (await this.#committed(ends))),
      () => `\n${this.#state(ends)}`,
    );
    await Promise.all([...this.consumers, ...this.members].map((part) => part.stop()));
  }

  /** Ends all clients; what is under way is given up. */
  async close(): Promise<void> {
    for (const producer of this.producers) producer.abandon();
    await Promise.all(this.#clients.map((client) => client.close().catch(() => undefined)));
  }

  client(name: string, requestTimeoutMs?: number): Millrace {
    const client = new Millrace({
      requestTimeoutMs,
      ...{ brokers: [this.#address], clientId: name, reconnectBackoffMaxMs: 200 },
      closeTimeoutMs: 2_000,
      onEvent: (event) => this.events.push({ ...event, client: name }),
    });
    this.#clients.push(client);
    return client;
  }

  /** Where everybody stands, and what the clients told last. */
  #state(ends: ReadonlyMap<string, number>): string {
    const last = (client: string): readonly string[] =>
      this.events
        .filter((event) => event.client === client)
        .slice(-LAST_EVENTS)
        .map(told);
    const parts = [...this.members, ...this.consumers];
    return [
      `last offsets ${JSON.stringify(Object.fromEntries(ends))}`,
      ...parts.flatMap((part) => [`${part.name}: ${part.state}`, ...last(part.name)]),
    ].join('\n');
  }

  #hasRead(ends: ReadonlyMap<string, number>): boolean {
    return this.consumers.every((consumer) =>
      this.#partitionsOf(consumer.topic).every(
        ([name, partition]) => consumer.position(partition) > (ends.get(name) ?? -1),
      ),
    );
  }

  /** Whether the group has committed all; members of other loads are in it, too. */
  async #committed(ends: ReadonlyMap<string, number>): Promise<boolean> {
    const [topic] = this.members.map((member) => member.topic);
    if (topic === undefined) return true;
    this.#reader ??= this.client('group-reader');
    const positions = await this.#reader.admin
      .groupOffsets(LOAD_GROUP, { topics: [topic] })
      .catch((error: unknown) => {
        // After a kill ahead of the first commit there is no group until a member has joined again.
        if (error instanceof BrokerError && error.code === 'GROUP_ID_NOT_FOUND') return [];
        throw error;
      });
    const committed = new Map(positions.map((own) => [own.partition, own.committedOffset]));
    return this.#partitionsOf(topic).every(
      ([name, partition]) => (committed.get(partition) ?? 0) > (ends.get(name) ?? -1),
    );
  }

  /** Names and numbers of a topic's partitions. */
  #partitionsOf(topic: string): [string, number][] {
    const { partitions = 0 } = this.#shape.topics.find(({ name }) => name === topic) ?? {};
    return Array.from({ length: partitions }, (_, number) => [
      partitionName(topic, number),
      number,
    ]);
  }
}
