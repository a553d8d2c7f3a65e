import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer, Millrace, Producer } from '@millrace/client';

/** So many are on their way at most: stored, perhaps, and not acknowledged. */
export const MESSAGES_PER_BATCH = 25;
const POLL_MS = 5;

/** Waits until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(POLL_MS);
}

/** The value with that number: no byte of it is zero, and no two are alike. */
export function valueOf(number: number): string {
  const fill = String.fromCharCode(97 + (number % 26));
  return `${number}:${fill.repeat(500 + (number % 7) * 300)}`;
}

export interface Place {
  readonly topic: string;
  readonly partition: number;
}

/** Sends the values 0, 1, 2 … to one partition, a batch after the other, until it is stopped or refused. */
export class Appender {
  /** How many values were acknowledged. */
  acknowledged = 0;
  failure: unknown;
  /** When the last batch that was acknowledged was handed to the producer. */
  lastSentMs = 0;
  #stopped = false;
  #paused: Promise<void> | undefined;
  #go: (() => void) | undefined;
  #idle = false;
  readonly ended: Promise<void>;

  constructor(
    private readonly producer: Producer,
    private readonly place: Place,
    private readonly keyOf: (number: number) => string | null = () => null,
  ) {
    this.ended = this.#run();
  }

  async #run(): Promise<void> {
    const { topic, partition } = this.place;
    while (!this.#stopped) {
      if (this.#paused !== undefined) {
        this.#idle = true;
        await this.#paused;
        this.#idle = false;
      }
      const first = this.acknowledged;
      const messages = Array.from({ length: MESSAGES_PER_BATCH }, (_, index) => ({
        ...{ partition, key: this.keyOf(first + index), value: valueOf(first + index) },
      }));
      const sentMs = performance.now();
      try {
        await this.producer.sendBatch(topic, messages);
      } catch (error) {
        this.failure = error;
        return;
      }
      this.lastSentMs = sentMs;
      this.acknowledged += messages.length;
    }
  }

  /** Resolves when `more` values were acknowledged; rejects when it was refused before. */
  async advance(more: number): Promise<void> {
    const goal = this.acknowledged + more;
    await until(() => this.acknowledged >= goal || this.failure !== undefined);
    if (this.failure === undefined) return;
    throw new Error('an append was refused', { cause: this.failure });
  }

  /** Resolves when nothing is under way. */
  async pause(): Promise<void> {
    this.#paused = new Promise((resolve) => (this.#go = resolve));
    await until(() => this.#idle || this.failure !== undefined);
  }

  resume(): void {
    this.#paused = undefined;
    this.#go?.();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.resume();
    await this.ended;
  }
}

export interface FollowOptions {
  readonly exitAtEnd?: boolean;
  /** Records may have been taken away: by their age, by request, or by later ones of their key. */
  readonly mayMiss?: boolean;
}

/** Reads one partition from its beginning, and believes nothing that was not sent. */
export class Follower {
  /** The number of the last value seen, and how many were seen. */
  last = -1;
  count = 0;
  /** What reading ended with. */
  failure: unknown;
  /** What is wrong with what was read. */
  readonly anomalies: string[] = [];
  readonly ended: Promise<void>;
  readonly #consumer: Consumer;

  constructor(
    client: Millrace,
    private readonly place: Place,
    private readonly options: FollowOptions = {},
  ) {
    const { exitAtEnd = false, mayMiss = false } = options;
    this.#consumer = client.consumer({
      ...{ topics: [place.topic], partitions: [place.partition], exitAtEnd },
      ...{ onOutOfRange: mayMiss ? 'beginning' : 'fail' },
    });
    this.ended = this.#run();
  }

  async #run(): Promise<void> {
    try {
      for await (const { value } of this.#consumer) this.#take(value?.toString() ?? 'null');
    } catch (error) {
      this.failure = error;
    }
  }

  #take(value: string): void {
    const number = Number.parseInt(value, 10);
    const { topic, partition } = this.place;
    const where = `${topic}-${partition} after ${this.last}`;
    const next = this.options.mayMiss === true ? number > this.last : number === this.last + 1;
    if (!next) this.anomalies.push(`${where}: ${number} came`);
    if (value !== valueOf(number)) {
      this.anomalies.push(`${where}: ${JSON.stringify(value.slice(0, 40))} was never sent`);
    }
    this.last = number;
    this.count += 1;
  }

  /** Resolves when the value with that number was seen; rejects when reading ended before. */
  async reach(number: number): Promise<void> {
    await until(() => this.last >= number || this.failure !== undefined);
    if (this.last >= number) return;
    throw new Error(`reading ended at ${this.last}`, { cause: this.failure });
  }

  async close(): Promise<void> {
    await this.#consumer.close();
    await this.ended;
  }
}
