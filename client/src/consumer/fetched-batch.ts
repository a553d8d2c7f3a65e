import { ProtocolError, RecordBatchView, type RecordCursor } from '@millrace/protocol';
import { CorruptMessageError } from '../errors.js';
import { INSPECT, type Inspect } from '../util/readable.js';
import { partitionName } from '../util/text.js';
import { Message, type MessageJson } from './message.js';

/** Messages that `console.log` shows of a batch. */
const MAX_SHOWN_MESSAGES = 3;

/** What of a fetched partition a batch needs to know. */
export interface BatchOrigin {
  readonly topic: string;
  readonly partition: number;
  /** The first offset that is wanted: what the batch has before it is skipped. */
  readonly fromOffset: number;
  /** Offset that the partition's next message would get, when this was fetched. */
  readonly highWatermark: number;
}

/** A batch as `JSON.stringify` writes it. */
export interface FetchedBatchJson {
  readonly topic: string;
  readonly partition: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly highWatermark: number;
  readonly count: number;
  readonly messages: readonly MessageJson[];
}

/**
 * A batch of messages of one partition, as it was fetched. Iterate it for message views, or use
 * `cursor()` for the fastest way, which makes no object per message.
 */
export class FetchedBatch implements Iterable<Message> {
  readonly topic: string;
  readonly partition: number;
  readonly highWatermark: number;
  /** Offset of the first message that is wanted. */
  readonly baseOffset: number;
  /** Offset of the last message. */
  readonly lastOffset: number;
  /** Epoch of the leader that took the batch. */
  readonly leaderEpoch: number;
  readonly #view: RecordBatchView;
  readonly #origin: BatchOrigin;
  #skipped: number | undefined;

  private constructor(view: RecordBatchView, origin: BatchOrigin) {
    this.#view = view;
    this.#origin = origin;
    this.topic = origin.topic;
    this.partition = origin.partition;
    this.highWatermark = origin.highWatermark;
    this.baseOffset = Math.max(view.baseOffset, origin.fromOffset);
    this.lastOffset = view.lastOffset;
    this.leaderEpoch = view.header.partitionLeaderEpoch;
  }

  /**
   * Reads and checks the batch at the position.
   *
   * @throws CorruptMessageError naming topic, partition and offset.
   */
  static read(
    buffer: Buffer,
    position: number,
    origin: BatchOrigin,
    checkCrc: boolean,
  ): FetchedBatch {
    try {
      return new FetchedBatch(RecordBatchView.read(buffer, position, { checkCrc }), origin);
    } catch (error) {
      throw corrupt(origin, origin.fromOffset, error);
    }
  }

  /** How many messages there are. */
  get count(): number {
    return this.#view.recordCount - this.#skip();
  }

  /**
   * A cursor before the first wanted message: `while (cursor.next()) …` with `cursor.offset`,
   * `cursor.value()` and so on. Errors of damaged records are protocol's own.
   */
  cursor(): RecordCursor {
    const cursor = this.#view.cursor();
    for (let skip = this.#skip(); skip > 0; skip -= 1) cursor.next();
    return cursor;
  }

  /** @throws CorruptMessageError naming topic, partition and offset. */
  *[Symbol.iterator](): IterableIterator<Message> {
    const messages = this.messages();
    for (;;) {
      const message = messages.next();
      if (message === undefined) return;
      yield message;
    }
  }

  /** The messages for whoever takes them one by one; less work than iterating. */
  messages(): BatchMessages {
    return new BatchMessages(this, this.#origin);
  }

  /**
   * Everything of the batch, for `JSON.stringify`.
   *
   * @throws CorruptMessageError naming topic, partition and offset.
   */
  toJSON(): FetchedBatchJson {
    return { ...this.#summary(), messages: Array.from(this, (message) => message.toJSON()) };
  }

  /** Where the batch lies and its first messages, for `console.log`. */
  [INSPECT](depth: number, options: object, inspect: Inspect): string {
    if (depth < 0) return '[FetchedBatch]';
    const messages: unknown[] = [];
    try {
      for (const message of this) {
        if (messages.push(message) === MAX_SHOWN_MESSAGES) break;
      }
    } catch (error) {
      // Showing what cannot be read must not fail; reading it will.
      messages.push(error);
    }
    return `FetchedBatch ${inspect({ ...this.#summary(), messages }, options)}`;
  }

  #summary(): Omit<FetchedBatchJson, 'messages'> {
    const { topic, partition, baseOffset, lastOffset, highWatermark, count } = this;
    return { topic, partition, baseOffset, lastOffset, highWatermark, count };
  }

  /** Records before the wanted offset: a fetch gives whole batches. */
  #skip(): number {
    if (this.#skipped !== undefined) return this.#skipped;
    const { header, baseOffset } = this.#view;
    const { fromOffset } = this.#origin;
    if (baseOffset >= fromOffset) this.#skipped = 0;
    else if (header.lastOffsetDelta + 1 === header.recordCount) {
      this.#skipped = Math.min(fromOffset - baseOffset, header.recordCount);
    } else {
      // Compaction left gaps: only walking over the records tells.
      let skipped = 0;
      const cursor = this.#view.cursor();
      while (cursor.next() && cursor.offset < fromOffset) skipped += 1;
      this.#skipped = skipped;
    }
    return this.#skipped;
  }
}

/** The messages of one batch, one after the other. */
export class BatchMessages {
  readonly #batch: FetchedBatch;
  readonly #origin: BatchOrigin;
  #cursor: RecordCursor | undefined;
  #offset: number;

  constructor(batch: FetchedBatch, origin: BatchOrigin) {
    this.#batch = batch;
    this.#origin = origin;
    this.#offset = batch.baseOffset;
  }

  /**
   * @returns undefined after the last.
   * @throws CorruptMessageError naming topic, partition and offset.
   */
  next(): Message | undefined {
    try {
      const cursor = (this.#cursor ??= this.#batch.cursor());
      if (!cursor.next()) return undefined;
      this.#offset = cursor.offset;
      return new Message(this.#batch.topic, this.#batch.partition, cursor);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      throw corrupt(this.#origin, this.#offset, error);
    }
  }
}

/** The error for a batch that cannot be trusted. */
export function corrupt(
  { topic, partition }: BatchOrigin,
  offset: number,
  cause: unknown,
): CorruptMessageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CorruptMessageError(
    `Damaged data in ${partitionName(topic, partition)} at offset ${offset}: ` +
      `${reason}. Nothing was skipped; to go on behind it start from a later offset`,
    { topic, partition, offset, cause },
  );
}
