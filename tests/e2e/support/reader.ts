import type { ClientEvent, GroupConsumer, GroupConsumerOptions, Message } from '@millrace/client';
import { Millrace, type ClientOptions } from '@millrace/client';

/** What a message's handling is. */
export type MessageHandler = (message: Message) => Promise<void>;

/** A consumer of a group in this process, with a client of its own, that reads until it is closed. */
export class Reader {
  readonly client: Millrace;
  readonly consumer: GroupConsumer;
  readonly events: ClientEvent[] = [];
  /** Values as text, in the order in which they came. */
  readonly values: string[] = [];
  /** `topic-partition` of what was given up or lost, in order. */
  readonly gone: string[] = [];
  /** What the iteration ended with. */
  failure: unknown;
  /** Resolves when the iteration has ended. */
  readonly ended: Promise<void>;

  /** @param handle what a message's handling is; by default nothing */
  constructor(
    address: string,
    options: GroupConsumerOptions,
    client: Partial<ClientOptions> = {},
    handle?: MessageHandler,
  ) {
    this.client = new Millrace({
      brokers: [address],
      closeTimeoutMs: 5_000,
      reconnectBackoffMaxMs: 200,
      onEvent: (event) => this.events.push(event),
      ...client,
    });
    this.consumer = this.client.consumer({ maxWaitMs: 100, autoCommitIntervalMs: 50, ...options });
    const note = (partitions: readonly { topic: string; partition: number }[]): void => {
      this.gone.push(...partitions.map(({ topic, partition }) => `${topic}-${partition}`));
    };
    this.consumer.on('revoked', note);
    this.consumer.on('lost', note);
    this.ended = this.#read(handle);
  }

  /** Sorted `topic-partition` of what it has. */
  get owned(): string[] {
    return this.consumer.assignment.map(({ topic, partition }) => `${topic}-${partition}`).sort();
  }

  /** How often it got an assignment. */
  get rebalances(): number {
    return this.events.filter((event) => event.type === 'rebalance' && event.phase === 'assigned')
      .length;
  }

  /** Codes of what somebody should know of. */
  get warnings(): string[] {
    return this.events.flatMap((event) => (event.type === 'warning' ? [event.error.code] : []));
  }

  async #read(handle: MessageHandler | undefined): Promise<void> {
    try {
      for await (const message of this.consumer) {
        await handle?.(message);
        this.values.push(message.text() ?? '');
      }
    } catch (error) {
      this.failure = error;
    }
  }
}

/** Looks until the condition holds; the test's own time limit is the limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
