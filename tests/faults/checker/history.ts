/**
 * What happened to a log, as plain data: what producers sent and were told, what consumers saw, when the
 * broker was away, and what the log holds in the end. Tests write it through `HistoryRecorder`, processes
 * of their own write a part each, and `checkHistory` names what is wrong with it.
 *
 * Moments (`…At`) are Unix ms with fractions, of one machine. A partition is named `topic-number`.
 */
export interface History {
  readonly producers: readonly ProducerHistory[];
  /** Each pass of a consumer over a partition. */
  readonly readings: readonly Reading[];
  readonly commits: readonly Commit[];
  /** In the order of time. */
  readonly outages: readonly Outage[];
  /** What each partition held when all was over, read from its beginning to its end. */
  readonly logs: readonly FinalLog[];
}

/** What a producer was promised. */
export type PromisedAcks = 'all' | 1 | 0;

/** One producer and everything it sent. */
export interface ProducerHistory {
  readonly name: string;
  readonly acks: PromisedAcks;
  readonly idempotent: boolean;
  /** A message's index here is its sequence: what its content says of itself. */
  readonly sent: readonly SentMessage[];
}

/** One message, as its producer knows it. */
export interface SentMessage {
  readonly partition: string;
  readonly sentAt: number;
  /**
   * `unknown`: the producer was told of a failure, or of nothing yet; it may be stored, once. With acks 0 it
   * is all there is.
   */
  readonly outcome: 'acknowledged' | 'unknown';
  /** When it was acknowledged; Infinity before. */
  readonly acknowledgedAt: number;
  /** Where it was acknowledged to be; -1 where that was not said. */
  readonly offset: number;
}

/** A record as a consumer got it. */
export interface ReadRecord {
  readonly offset: number;
  /** Who made it, by its own content; empty where that cannot be read. */
  readonly producer: string;
  readonly sequence: number;
  readonly readAt: number;
  /** What is wrong with its content. */
  readonly problem?: string | undefined;
}

/**
 * One pass of a consumer over a partition, without jumps: with a group, from the moment the partition was
 * assigned until it went. Whoever has to start elsewhere begins another.
 */
export interface Reading {
  readonly reader: string;
  /** Undefined: a consumer without a group. */
  readonly group?: string | undefined;
  readonly partition: string;
  readonly beganAt: number;
  /** Everything there is from here up to its last record must be among its records. */
  readonly startOffset: number;
  readonly records: readonly ReadRecord[];
}

/** A position that the broker acknowledged to a group's member. */
export interface Commit {
  readonly group: string;
  readonly partition: string;
  /** The next to read. */
  readonly offset: number;
  readonly acknowledgedAt: number;
}

/**
 * - `kill`: SIGKILL of the broker. Whatever it acknowledged, or showed to a consumer, must be there.
 * - `power-cut`: what was not synced is gone. Acks 1, and what consumers saw, may be lost, from the end.
 * - `stop`, `pause`: SIGTERM and start, SIGSTOP and SIGCONT.
 */
export type OutageKind = 'kill' | 'power-cut' | 'stop' | 'pause';

/** A time without the broker. */
export interface Outage {
  readonly kind: OutageKind;
  /** The last moment at which all was well: nothing acknowledged before it may be harmed. */
  readonly downAt: number;
  /** When it was ready again; Infinity before. */
  readonly upAt: number;
}

/** All that a partition holds. */
export interface FinalLog {
  readonly partition: string;
  /** Retention may have removed what lies before. */
  readonly startOffset: number;
  /** What the next record would get. */
  readonly endOffset: number;
  readonly records: readonly ReadRecord[];
}

/** How histories name a partition. */
export function partitionName(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}
