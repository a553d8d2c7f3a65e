import type { ConfigSource, PartitionState } from '@millrace/protocol';
import type { SignalOption } from '../options.js';

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

/** A partition by the name of its topic. */
export interface PartitionOfTopic {
  readonly topic: string;
  readonly partition: number;
}

/** A partition and what it holds. */
export interface PartitionDescription {
  readonly partition: number;
  /** Node id; -1 = none. */
  readonly leader: number;
  readonly leaderEpoch: number;
  /** First offset that can be read; -1 = not known, as of a partition that is offline. */
  readonly startOffset: number;
  /** Offset that the next message will get; -1 = not known. */
  readonly endOffset: number;
  /** Offset up to which consumers read, the end at the most; -1 = not known. */
  readonly highWatermark: number;
  /** Bytes of record batches. */
  readonly sizeBytes: number;
  /** Segments that the log consists of, the active one included. */
  readonly segments: number;
  /** Bytes that its files take on the disk, with indexes and what is allocated ahead. */
  readonly diskBytes: number;
  readonly state: PartitionState;
}

/** Everything about a topic. */
export interface TopicDescription {
  readonly name: string;
  readonly topicId: string;
  /** Whether it is the broker's own, such as `__offsets`: clients may only read it. */
  readonly internal: boolean;
  readonly config: readonly TopicConfigEntry[];
  readonly partitions: readonly PartitionDescription[];
}

/** Values to set by config key; null goes back to the broker's default. */
export type ConfigChanges = Readonly<Record<string, string | number | boolean | null>>;

/** How to change a configuration. */
export interface AlterConfigOptions extends SignalOption {
  /** Whether to check the change only. Default false. */
  readonly validateOnly?: boolean | undefined;
}

/** Where the messages to delete end. */
export interface RecordsToDelete extends PartitionOfTopic {
  /** Messages before it are deleted; `'end'`: all that there are when the call is made. */
  readonly offset: number | 'end';
}

/** A partition whose first messages were deleted. */
export interface DeletedRecords extends PartitionOfTopic {
  /** First offset that can be read now. */
  readonly startOffset: number;
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
