import { corrupt, FetchedBatch, type BatchMessages } from './fetched-batch.js';
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
  messages: BatchMessages | undefined;
  /** Whether the messages are given out one by one. */
  readonly byMessage: boolean;
  /** The last message given out. */
  inHand: Message | undefined;
  /** More was asked for: what is in hand is handled. */
  handled: boolean;
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
  /** Several messages may be in hand at a time: {@link overlap}. */
  #overlapping = false;
  /** The oldest that may be in hand of each partition, while they overlap. */
  #oldest = new Map<PartitionReader, Stand>();

  constructor(checkCrc: boolean) {
    this.#checkCrc = checkCrc;
  }

  /** Of what the application was given last. */
  get inHand(): PartitionReader | undefined {
    const current = this.#current;
    return current !== undefined && isGiven(current) ? current.pending.reader : undefined;
  }

  /** True while the application has something of the partition in hand. */
  isInHand(reader: PartitionReader): boolean {
    if (this.#oldest.has(reader)) return true;
    return this.inHand === reader && this.#current?.handled === false;
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
    if (pending.problem !== undefined) {
      throw corrupt(origin, fromOffset, new Error(pending.problem));
    }
    const batch = FetchedBatch.read(buffer, position, origin, this.#checkCrc);
    // The log was cut off behind what was prefetched.
    if (batch.baseOffset < reader.position) reader.setPosition(batch.baseOffset);
    const messages = byMessage ? batch.messages() : undefined;
    const state = { inHand: undefined, handled: false, cut: false, jumped: false };
    this.#current = { pending, batch, messages, byMessage, ...state };
    if (this.#overlapping && !byMessage) this.#remember(this.#current);
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
    let message: Message | undefined;
    try {
      message = current.messages.next();
    } catch (error) {
      current.cut = true;
      this.finish();
      throw error;
    }
    if (message === undefined) {
      current.messages = undefined;
      return undefined;
    }
    current.inHand = message;
    current.handled = false;
    if (this.#overlapping) this.#remember(current);
    return message;
  }

  /** Everything that was given out is handled, for the application has asked for more. */
  settle(): void {
    if (this.#oldest.size > 0) this.#oldest = new Map();
    if (this.#current !== undefined) this.#current.handled = true;
  }

  /**
   * More is asked for while something is in hand, and from now on that is no sign of being done:
   * only {@link settle} is.
   */
  overlap(): void {
    this.#overlapping = true;
    const current = this.#current;
    if (current !== undefined && !current.handled && isGiven(current)) this.#remember(current);
  }

  /** The application has moved on from the batch. */
  finish(): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined || current.jumped) return;
    const stand = standAfter(current);
    if (stand !== undefined) current.pending.reader.moveOn(stand.offset, stand.leaderEpoch);
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
    this.#oldest.delete(reader);
    const current = this.#current;
    if (current?.pending.reader !== reader) return;
    const stand = standAfter(current);
    if (stand !== undefined) reader.reached(stand.offset);
    current.jumped = true;
  }

  /** Where the application goes on: behind what it has in hand. */
  position(reader: PartitionReader): Stand {
    return this.#of(reader, standAfter) ?? settledStand(reader);
  }

  /** Up to where the application is done: what it has in hand not included. */
  handled(reader: PartitionReader): Stand {
    const oldest = this.#oldest.get(reader);
    if (oldest !== undefined) return oldest;
    const stand = this.#current?.handled === true ? standAfter : standBefore;
    return this.#of(reader, stand) ?? settledStand(reader);
  }

  #of(reader: PartitionReader, stand: (current: Current) => Stand | undefined): Stand | undefined {
    const current = this.#current;
    if (current?.pending.reader !== reader || current.jumped) return undefined;
    return stand(current);
  }

  #remember(current: Current): void {
    const { reader } = current.pending;
    if (current.jumped || this.#oldest.has(reader)) return;
    const stand = standBefore(current);
    if (stand !== undefined) this.#oldest.set(reader, stand);
  }
}

function isGiven({ byMessage, inHand }: Current): boolean {
  return !byMessage || inHand !== undefined;
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
