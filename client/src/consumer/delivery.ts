import { FetchedBatch } from './fetched-batch.js';
import type { Message } from './message.js';
import type { PartitionReader, PendingBatch } from './partition-reader.js';

/** A position and the leader epoch of what is before it (-1 = not known). */
export interface Stand {
  readonly offset: number;
  readonly leaderEpoch: number;
}

interface Current {
  readonly pending: PendingBatch;
  readonly batch: FetchedBatch;
  /** Undefined where the batch is given out as a whole, and when there is nothing more of it. */
  messages: Iterator<Message> | undefined;
  /** Whether the messages are given out one by one. */
  readonly byMessage: boolean;
  /** The last message given out. */
  inHand: Message | undefined;
  /** Not all of it was given out, and nothing more will be. */
  cut: boolean;
  /** The partition's position was set elsewhere meanwhile. */
  jumped: boolean;
}

/**
 * What the application has in hand, and with that the position of each partition: kept per batch,
 * so that a message costs nothing beyond itself.
 */
export class Delivery {
  readonly #checkCrc: boolean;
  #current: Current | undefined;

  constructor(checkCrc: boolean) {
    this.#checkCrc = checkCrc;
  }

  /** What the application was given last: a message or, where it takes batches, a batch. */
  get inHand(): Message | FetchedBatch | undefined {
    const current = this.#current;
    return current?.byMessage === true ? current.inHand : current?.batch;
  }

  /** True while the application has something of the partition in hand. */
  isInHand(reader: PartitionReader): boolean {
    return this.#current?.pending.reader === reader && this.inHand !== undefined;
  }

  /**
   * Begins to give out a batch, after {@link finish}.
   *
   * @throws CorruptMessageError naming topic, partition and offset.
   */
  begin(pending: PendingBatch, byMessage: boolean): FetchedBatch {
    const { reader, buffer, position, fromOffset, highWatermark } = pending;
    const { topic, partition } = reader;
    const origin = { topic, partition, fromOffset, highWatermark };
    const batch = FetchedBatch.read(buffer, position, origin, this.#checkCrc);
    const messages = byMessage ? batch[Symbol.iterator]() : undefined;
    const state = { inHand: undefined, cut: false, jumped: false };
    this.#current = { pending, batch, messages, byMessage, ...state };
    return batch;
  }

  /**
   * The next message of the batch; undefined when there is none.
   *
   * @throws CorruptMessageError
   */
  nextMessage(): Message | undefined {
    const current = this.#current;
    if (current?.messages === undefined) return undefined;
    let step: IteratorResult<Message>;
    try {
      step = current.messages.next();
    } catch (error) {
      current.cut = true;
      this.finish();
      throw error;
    }
    if (step.done === true) {
      current.messages = undefined;
      return undefined;
    }
    current.inHand = step.value;
    return step.value;
  }

  /** The application is done with what it has in hand, and asks for more. */
  finish(): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined || current.jumped) return;
    const { reader } = current.pending;
    const stand = standAfter(current);
    if (stand === undefined) return;
    reader.position = stand.offset;
    reader.leaderEpoch = stand.leaderEpoch;
  }

  /**
   * Nothing more of the batch is given out, if it is of one of these partitions.
   *
   * @returns the rest of it.
   */
  cut(readers: ReadonlySet<PartitionReader>): PendingBatch | undefined {
    const current = this.#current;
    if (current?.messages === undefined) return undefined;
    const { pending, inHand } = current;
    if (!readers.has(pending.reader)) return undefined;
    this.end();
    const fromOffset = inHand === undefined ? pending.fromOffset : inHand.offset + 1;
    return fromOffset > current.batch.lastOffset ? undefined : { ...pending, fromOffset };
  }

  /** Nothing more of the batch is given out. */
  end(): void {
    const current = this.#current;
    if (current?.messages === undefined) return;
    current.messages = undefined;
    current.cut = true;
  }

  /** The partition's position was set to something else than what follows the message in hand. */
  jumped(reader: PartitionReader): void {
    if (this.#current?.pending.reader === reader) this.#current.jumped = true;
  }

  /** Where the application goes on: behind what it has in hand. */
  position(reader: PartitionReader): Stand {
    return this.#of(reader, standAfter) ?? settledStand(reader);
  }

  /** Up to where the application is done: what it has in hand not included. */
  handled(reader: PartitionReader): Stand {
    return this.#of(reader, standBefore) ?? settledStand(reader);
  }

  #of(reader: PartitionReader, stand: (current: Current) => Stand | undefined): Stand | undefined {
    const current = this.#current;
    if (current?.pending.reader !== reader || current.jumped) return undefined;
    return stand(current);
  }
}

function settledStand({ position, leaderEpoch }: PartitionReader): Stand {
  return { offset: position, leaderEpoch };
}

function standAfter({ batch, byMessage, messages, cut, inHand }: Current): Stand | undefined {
  const { leaderEpoch, lastOffset } = batch;
  if (!byMessage || (messages === undefined && !cut))
    return { offset: lastOffset + 1, leaderEpoch };
  return inHand === undefined ? undefined : { offset: inHand.offset + 1, leaderEpoch };
}

function standBefore({ batch, byMessage, inHand }: Current): Stand | undefined {
  if (!byMessage) return { offset: batch.baseOffset, leaderEpoch: batch.leaderEpoch };
  if (inHand === undefined) return undefined;
  return { offset: inHand.offset, leaderEpoch: batch.leaderEpoch };
}
