import type { DriverTarget } from '../drivers/driver.js';
import { BenchError } from '../errors.js';

/** What messages consist of. */
export interface PayloadSpec {
  readonly kind: 'random' | 'json' | 'zeros' | 'file';
  /** Where `kind` is `file`: messages are cut from it, round and round. */
  readonly file?: string | undefined;
  /** Sizes are spread evenly from here … */
  readonly minBytes: number;
  /** … to here, both included. */
  readonly maxBytes: number;
}

/** When a phase of a load is over; each producer gets its share of a count. */
export type LoadLimit =
  { readonly durationMs: number } | { readonly messages: number } | { readonly bytes: number };

/**
 * How messages are handed to the client: `send` awaits each acknowledgement, `enqueue` goes without
 * (one in a thousand or so is awaited, for the latency).
 */
export type ProduceApi = 'send' | 'enqueue';

/**
 * How an open loop waits for the next message: `spin` keeps a core busy and is exact, `timer` sleeps
 * and is late by a millisecond or so, which is counted as publish delay.
 */
export type Pacing = 'spin' | 'timer';

/** Where consumers begin, and what they do at the end of a partition. */
export interface ConsumePlan {
  readonly from: 'beginning' | 'end';
  readonly atEnd: 'wait' | 'rewind' | 'stop';
}

/** A load, the same for all of its producers and consumers. */
export interface LoadSpec {
  readonly target: DriverTarget;
  readonly topic: string;
  readonly partitions: number;
  readonly producers: number;
  readonly consumers: number;
  readonly payload: PayloadSpec;
  /** Different keys; 0: messages have none. */
  readonly keys: number;
  readonly batchBytes: number;
  readonly lingerMs: number;
  readonly acks: 'all' | 1 | 0;
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
  /** Messages a second of all producers together, in an open loop; 0: closed loop, at maximum. */
  readonly ratePerSecond: number;
  readonly pacing: Pacing;
  readonly api: ProduceApi;
  /** Messages awaited at a time by each producer, in a closed loop with `send`. */
  readonly inFlight: number;
  /** Bytes of one fetch. */
  readonly fetchBytes: number;
  readonly checkCrc: boolean;
  readonly consume: ConsumePlan;
  /** Whether messages carry the time when they were to be sent, so that consumers can tell delays. */
  readonly stamped: boolean;
}

/** How messages of that load are sent: with open loops their schedule, with closed ones `0`. */
export function isOpenLoop(spec: LoadSpec): boolean {
  return spec.ratePerSecond > 0;
}

/** @throws BenchError when consumers would have nothing to read. */
export function checkConsumers(spec: LoadSpec, partitions: number, topic: string): void {
  if (spec.consumers <= partitions) return;
  throw new BenchError(
    `${spec.consumers} consumers share the ${partitions} partitions of ${topic}: give fewer ` +
      '--consumers or more --partitions',
  );
}
