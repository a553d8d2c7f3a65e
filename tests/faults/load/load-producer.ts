import type { Millrace, Producer, ProducerOptions } from '@millrace/client';
import { partitionName, type PromisedAcks } from '../checker/history.js';
import type { HistoryRecorder, ProducerRecorder } from '../checker/recorder.js';
import { makeContent, MIN_VALUE_BYTES, producerName } from './content.js';

/** What a producer of a load does. */
export interface LoadProducerSpec {
  /** Its number, and so its name; one of its own in each history. */
  readonly number: number;
  readonly acks: PromisedAcks;
  readonly options?: Omit<ProducerOptions, 'acks' | 'idempotent' | 'onError'>;
  readonly topic: string;
  readonly partitions: number;
  /** Values are up to so large, most of them small. Default 400. */
  readonly maxValueBytes?: number;
  /** Messages on their way at a time. Default 200. */
  readonly maxPending?: number;
  /** The most that it sends a second. Default 2,000. */
  readonly messagesPerSecond?: number;
}

const TURN_MS = 5;

/** Sends numbered messages to random partitions until it is stopped, and writes down their fates. */
export class LoadProducer {
  readonly #spec: LoadProducerSpec;
  readonly #random: () => number;
  readonly #recorder: ProducerRecorder;
  readonly #producer: Producer;
  readonly #pending = new Set<Promise<void>>();
  #stopping = false;
  #done: Promise<void> | undefined;
  acknowledged = 0;
  /** Codes of deliveries that failed, and how often. */
  readonly failures = new Map<string, number>();

  constructor(
    client: Millrace,
    history: HistoryRecorder,
    spec: LoadProducerSpec,
    random: () => number,
  ) {
    const { acks, number, options } = spec;
    this.#spec = spec;
    this.#random = random;
    this.#recorder = history.producer(producerName(number), acks);
    const onError = (error: unknown): void => this.#failed(error);
    this.#producer = client.producer({ ...options, acks, onError });
  }

  get sent(): number {
    return this.#recorder.sent.length;
  }

  start(): void {
    this.#done ??= this.#run();
  }

  /** Sends no more, and waits until the fate of each message is known. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
    await Promise.all(this.#pending);
    await this.#producer.close();
  }

  /** Sends no more; what is under way is the client's to give up. */
  abandon(): void {
    this.#stopping = true;
  }

  async #run(): Promise<void> {
    const { maxPending = 200, messagesPerSecond = 2_000 } = this.#spec;
    const share = Math.max(1, Math.round((messagesPerSecond * TURN_MS) / 1_000));
    while (!this.#stopping) {
      for (let i = 0; i < share && this.#pending.size < maxPending; i += 1) this.#send();
      await new Promise((resolve) => setTimeout(resolve, TURN_MS));
    }
  }

  #send(): void {
    const { number, topic, partitions, maxValueBytes = 400 } = this.#spec;
    const partition = Math.floor(this.#random() * partitions);
    // Most are small, some as large as may be.
    const valueBytes = MIN_VALUE_BYTES + Math.floor(maxValueBytes * this.#random() ** 3);
    const sequence = this.#recorder.send(partitionName(topic, partition));
    const value = makeContent({ producer: number, partition, sequence }, valueBytes);
    const settled = this.#producer.send(topic, { value, partition }).then(
      ({ offset }) => {
        this.acknowledged += 1;
        this.#recorder.acknowledged(sequence, offset);
      },
      (error: unknown) => this.#failed(error),
    );
    this.#pending.add(settled);
    void settled.then(() => this.#pending.delete(settled));
  }

  #failed(error: unknown): void {
    const { code, cause } = error as { code?: string; cause?: { code?: string } };
    const name = [code ?? String(error), cause?.code].filter(Boolean).join(': ');
    this.failures.set(name, (this.failures.get(name) ?? 0) + 1);
  }
}
