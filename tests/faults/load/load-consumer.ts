import type { Millrace } from '@millrace/client';
import { OffsetOutOfRangeError, type Consumer } from '@millrace/client';
import { partitionName, type ReadRecord } from '../checker/history.js';
import type { HistoryRecorder } from '../checker/recorder.js';
import { recordsOf } from './read-records.js';

/** What a consumer of a load reads. */
export interface LoadConsumerSpec {
  readonly name: string;
  readonly topic: string;
  /** Whether the topic's beginning may move; without it nothing from offset 0 on may be missing. */
  readonly retention?: boolean;
}

/**
 * A consumer without a group that reads a topic from its beginning as it grows, and writes down what it
 * gets. Where retention overtakes it, it begins a new reading at the new beginning.
 */
export class LoadConsumer {
  readonly #client: Millrace;
  readonly #history: HistoryRecorder;
  readonly #spec: LoadConsumerSpec;
  readonly #passes = new Map<number, ReadRecord[]>();
  readonly #next = new Map<number, number>();
  #consumer: Consumer | undefined;
  #stopping = false;
  #done: Promise<void> | undefined;
  /** Records so far. */
  read = 0;
  /** What ended its iteration too early. */
  failure: unknown;
  /** How often retention was faster. */
  overtaken = 0;

  constructor(client: Millrace, history: HistoryRecorder, spec: LoadConsumerSpec) {
    this.#client = client;
    this.#history = history;
    this.#spec = spec;
  }

  get name(): string {
    return this.#spec.name;
  }

  /** How it stands, for whoever finds that it does not get on. */
  get state(): string {
    return `at ${JSON.stringify(Object.fromEntries(this.#next))}`;
  }

  start(): void {
    this.#done ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#consumer?.close();
    await this.#done;
  }

  get topic(): string {
    return this.#spec.topic;
  }

  /** Where it goes on in the partition. */
  position(partition: number): number {
    return this.#next.get(partition) ?? 0;
  }

  async #run(): Promise<void> {
    while (!this.#stopping && this.failure === undefined) {
      try {
        await this.#read();
      } catch (error) {
        if (error instanceof OffsetOutOfRangeError) this.overtaken += 1;
        else this.failure = error;
      }
    }
  }

  async #read(): Promise<void> {
    const { name, topic, retention = false } = this.#spec;
    this.#passes.clear();
    this.#consumer = this.#client.consumer({ topics: [topic], maxWaitMs: 100 });
    for await (const batch of this.#consumer.batches()) {
      const { partition, baseOffset, lastOffset } = batch;
      let pass = this.#passes.get(partition);
      if (pass === undefined) {
        pass = this.#history.reading({
          reader: name,
          partition: partitionName(topic, partition),
          // With retention only the broker knew where the beginning was just then.
          startOffset: retention ? baseOffset : 0,
        });
        this.#passes.set(partition, pass);
      }
      for (const record of recordsOf(batch)) pass.push(record);
      this.read += batch.count;
      this.#next.set(partition, lastOffset + 1);
    }
  }
}
