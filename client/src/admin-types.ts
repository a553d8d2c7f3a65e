import type { ConfigSource, PartitionState } from '@millrace/protocol';

/** A topic to create. */
export interface TopicSpec {
  /** 1 to 249 of `A-Z a-z 0-9 . _ -`. */
  readonly name: string;
  /** Default 1. */
  readonly partitions?: number | undefined;
  /** Such as `{ 'segment.bytes': 67108864 }`; the broker knows the keys. */
  readonly config?: Readonly<Record<string, string | number | boolean>> | undefined;
  /**
   * Whether a topic of the name that exists already is as good as a new one. Its partitions and
   * configuration are not compared with what is asked for. Default false.
   */
  readonly ifNotExists?: boolean | undefined;
}

/** A topic that was created, or (with `ifNotExists`) was there. */
export interface CreatedTopic {
  readonly name: string;
  /** Differs each time a topic of the name is created. */
  readonly topicId: string;
  readonly partitions: number;
  /** Whether it was there before; only with `ifNotExists`. */
  readonly existed: boolean;
}

/** A topic in a list. */
export interface TopicListing {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: number;
}

/** A configuration value as it is in force. */
export interface TopicConfigEntry {
  readonly key: string;
  readonly value: string;
  /** Where the value comes from. */
  readonly source: ConfigSource;
}

/** A partition and what it holds. */
export interface PartitionDescription {
  readonly partition: number;
  /** Node id; -1 = none. */
  readonly leader: number;
  readonly leaderEpoch: number;
  /** First offset that can be read. */
  readonly startOffset: number;
  /** Offset that the next message will get. */
  readonly endOffset: number;
  readonly sizeBytes: number;
  readonly state: PartitionState;
}

/** Everything about a topic. */
export interface TopicDescription {
  readonly name: string;
  readonly topicId: string;
  readonly config: readonly TopicConfigEntry[];
  readonly partitions: readonly PartitionDescription[];
}

/** Which offset is asked for: by time it is that of the first message at or after it. */
export type OffsetAt = 'beginning' | 'end' | Date | { readonly timestampMs: number };

/** An offset that was asked for. */
export interface PartitionOffset {
  readonly partition: number;
  /** undefined: no message is that young. */
  readonly offset: number | undefined;
  /** Time of the message at the offset (Unix, ms), where the question was by time. */
  readonly timestampMs: number | undefined;
}

/** What a partition holds. */
export interface PartitionOffsets {
  readonly partition: number;
  readonly beginning: number;
  /** Offset that the next message will get. */
  readonly end: number;
}
