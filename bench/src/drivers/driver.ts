import type { LoadSpec } from '../load/spec.js';

export const driverNames = ['millrace', 'nats', 'redis', 'kafka'] as const;
export type DriverName = (typeof driverNames)[number];

/** How long a driver waits for its server, in ms. */
export const CONNECT_TIMEOUT_MS = 5_000;

/** Whom to load. */
export interface DriverTarget {
  readonly driver: DriverName;
  /** `host:port`. */
  readonly address: string;
}

/**
 * One kind of broker. A driver is a file that is loaded only when it is used; it uses what users of
 * that broker use, in the way that its documentation recommends.
 */
export interface Driver {
  readonly name: DriverName;
  /** What an acknowledgement promises with these acks, in a few words for people. */
  acknowledgement(acks: LoadSpec['acks']): string;
  /** @throws Error when nobody of that kind answers at the address. */
  connect(target: DriverTarget, clientId: string): Promise<DriverConnection>;
}

/** A client of a broker. */
export interface DriverConnection {
  /**
   * Makes the topic if there is none.
   *
   * @returns how many partitions it has.
   */
  ensureTopic(topic: string, partitions: number): Promise<number>;
  deleteTopic(topic: string): Promise<void>;
  /** How many messages the topic holds, as far as offsets tell. */
  messagesIn(topic: string): Promise<number>;
  producer(spec: LoadSpec): Promise<DriverProducer>;
  /** @param partitions those to read, of those that the topic has. */
  consumer(spec: LoadSpec, partitions: readonly number[]): Promise<DriverConsumer>;
  close(): Promise<void>;
}

export interface DriverProducer {
  /** Whether bytes given to it may be changed as soon as the call returns. */
  readonly copies: boolean;
  /** Resolves when the message is acknowledged. */
  send(value: Buffer, key: string | null): Promise<unknown>;
  /** Takes a message without a promise; false: `await ready()` first. Not every client has it. */
  readonly enqueue?: (value: Buffer, key: string | null) => boolean;
  readonly ready?: () => Promise<void>;
  /** Resolves when everything taken before is acknowledged; throws when some of it failed. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Whom a consumer tells of what it read. */
export interface ConsumerSink {
  /** To be awaited before the next messages are given; undefined: go on. */
  gate(): Promise<void> | undefined;
  /** One message. The bytes are the consumer's. */
  message(value: Buffer): void;
  /** After the messages that came together. */
  batchDone(): void;
}

export interface DriverConsumer {
  /** Reads until {@link stop}, or to the end of what it was to read. */
  run(sink: ConsumerSink): Promise<void>;
  /** Idempotent. */
  stop(): Promise<void>;
}
