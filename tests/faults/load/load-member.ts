import {
  MillraceError,
  type FetchedBatch,
  type GroupConsumer,
  type GroupConsumerOptions,
  type Millrace,
} from '@millrace/client';
import { partitionName, type ReadRecord } from '../checker/history.js';
import type { HistoryRecorder } from '../checker/recorder.js';
import { recordsOf } from './read-records.js';

const COMMIT_INTERVAL_MS = 100;

/** What a member of a load's group does. */
export interface LoadMemberSpec {
  readonly name: string;
  readonly group: string;
  readonly options?: Omit<GroupConsumerOptions, 'group' | 'topics' | 'autoCommit'>;
  readonly topic: string;
  /** How likely a batch is committed at once; the others are within 100 ms. Default 0.2. */
  readonly commitShare?: number;
}

/** A member of a group that commits by hand, and writes down what it gets and what it was told. */
export class LoadMember {
  readonly #history: HistoryRecorder;
  readonly #spec: LoadMemberSpec;
  readonly #consumer: GroupConsumer;
  readonly #random: () => number;
  readonly #passes = new Map<number, ReadRecord[]>();
  /** The last batch of each partition that is handled and not committed. */
  readonly #handled = new Map<number, FetchedBatch>();
  #stopping = false;
  #done: Promise<void> | undefined;
  /** Records so far. */
  read = 0;
  /** What ended its iteration too early. */
  failure: unknown;
  /** What it waits for at present. */
  #doing: 'next' | 'commit' = 'next';
  /** Codes of commits that failed, and how often. */
  readonly refused = new Map<string, number>();

  constructor(
    client: Millrace,
    history: HistoryRecorder,
    spec: LoadMemberSpec,
    random: () => number,
  ) {
    const { group, topic, options } = spec;
    this.#history = history;
    this.#random = random;
    this.#spec = spec;
    this.#consumer = client.consumer({
      ...{ maxWaitMs: 100, sessionTimeoutMs: 3_000, heartbeatIntervalMs: 300, ...options },
      ...{ group, topics: [topic], autoCommit: false },
    });
    this.#consumer.on('assigned', (partitions) => {
      for (const { partition } of partitions) this.#begin(partition);
    });
    const gone = (partitions: readonly { readonly partition: number }[]): void => {
      for (const { partition } of partitions) {
        this.#passes.delete(partition);
        this.#handled.delete(partition);
      }
    };
    this.#consumer.on('revoked', gone);
    this.#consumer.on('lost', gone);
  }

  get topic(): string {
    return this.#spec.topic;
  }

  /** How many partitions it has. */
  get owned(): number {
    return this.#consumer.assignment.length;
  }

  get name(): string {
    return this.#spec.name;
  }

  /** How it stands, for whoever finds that it does not get on. */
  get state(): string {
    const { topic } = this.#spec;
    const positions = this.#consumer.assignment.map(
      ({ partition }) => `${partition}@${this.#consumer.position(topic, partition)}`,
    );
    const refused = JSON.stringify(Object.fromEntries(this.refused));
    return `waits for ${this.#doing} at ${positions.join(' ')}, refused commits ${refused}`;
  }

  start(): void {
    this.#done ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#consumer.close();
    await this.#done;
  }

  #begin(partition: number): void {
    const { group, name: reader, topic } = this.#spec;
    const startOffset = this.#consumer.position(topic, partition);
    const where = { reader, group, partition: partitionName(topic, partition), startOffset };
    this.#passes.set(partition, this.#history.reading(where));
  }

  async #run(): Promise<void> {
    const { commitShare = 0.2 } = this.#spec;
    const timer = setInterval(() => void this.#commitHandled(), COMMIT_INTERVAL_MS);
    try {
      for await (const batch of this.#consumer.batches()) {
        const pass = this.#passes.get(batch.partition);
        if (pass === undefined) throw new Error(`partition ${batch.partition} was not assigned`);
        for (const record of recordsOf(batch)) pass.push(record);
        this.read += batch.count;
        this.#handled.set(batch.partition, batch);
        if (this.#random() < commitShare) await this.#commitHandled();
      }
    } catch (error) {
      if (!this.#stopping) this.failure = error;
    } finally {
      clearInterval(timer);
    }
  }

  async #commitHandled(): Promise<void> {
    const { group, topic } = this.#spec;
    const batches = [...this.#handled.values()];
    this.#handled.clear();
    if (batches.length > 0) this.#doing = 'commit';
    for (const batch of batches) {
      try {
        await this.#consumer.commit(batch);
      } catch (error) {
        this.#refused(error, batch);
        continue;
      }
      const { partition, lastOffset } = batch;
      const name = partitionName(topic, partition);
      this.#history.committed({ group, partition: name, offset: lastOffset + 1 });
    }
    this.#doing = 'next';
  }

  /** Tried again, unless a later batch says the same or the partition has gone: it may be the last. */
  #refused(error: unknown, batch: FetchedBatch): void {
    const code = error instanceof MillraceError ? error.code : String(error);
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
    const { partition } = batch;
    if (this.#passes.has(partition) && !this.#handled.has(partition)) {
      this.#handled.set(partition, batch);
    }
  }
}
