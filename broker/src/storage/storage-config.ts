/** How hard `acks=all` tries: `fsync` waits for the disk, `pagecache` only for the operating system. */
export type Durability = 'fsync' | 'pagecache';

/** When consumers see a batch: once it is appended, or once it is synced. */
export type Visibility = 'appended' | 'durable';

/** What becomes of old records: whole segments go, or older values of a key do, or both. */
export const cleanupPolicies = ['delete', 'compact', 'compact,delete'] as const;
export type CleanupPolicy = (typeof cleanupPolicies)[number];

/** Whose time a record bears: its producer's, or the broker's when it was appended. */
export const timestampTypes = ['CreateTime', 'LogAppendTime'] as const;
export type TimestampType = (typeof timestampTypes)[number];

/**
 * For {@link StorageConfig.retentionMs} and `retentionBytes`: nothing is removed for that reason; for
 * `maxCompactionLagMs`: nothing is compacted for that reason alone.
 */
export const UNLIMITED = -1;

/** Every bound and default of the storage layer. Sizes in bytes, times in milliseconds. */
export interface StorageConfig {
  /** Default of the topic option `segment.bytes`: a segment is sealed before it grows beyond this. */
  readonly segmentBytes: number;
  /** Default of the topic option `max.message.bytes`: the largest batch, as stored. */
  readonly maxMessageBytes: number;
  /** The most records one batch may hold. */
  readonly maxRecordsPerBatch: number;
  /** Default of the topic option `flush.ms`: appended bytes are synced at most this much later. */
  readonly flushMs: number;
  /** Default of the topic option `flush.bytes`: this many un-synced bytes start a sync at once. */
  readonly flushBytes: number;
  readonly durability: Durability;
  readonly visibility: Visibility;
  /** Default of the topic option `index.interval.bytes`: log bytes between two index entries. */
  readonly indexIntervalBytes: number;
  /**
   * Default of the topic option `message.timestamp.after.max.ms` (KIP-937): how far in the future
   * a record's timestamp may lie.
   */
  readonly timestampAfterMaxMs: number;
  /** Default of the topic option `message.timestamp.type`. */
  readonly messageTimestampType: TimestampType;
  /** Default of `cleanup.policy`. */
  readonly cleanupPolicy: CleanupPolicy;
  /** Default of `retention.ms`: a sealed segment older than this is removed; -1: never. */
  readonly retentionMs: number;
  /** Default of `retention.bytes`: the oldest segments beyond it are removed, of each partition; -1: none. */
  readonly retentionBytes: number;
  /** Default of `segment.ms`: a segment whose first append is older is sealed. */
  readonly segmentMs: number;
  /** Default of `delete.retention.ms`: how long compaction keeps tombstones. */
  readonly deleteRetentionMs: number;
  /** Default of `min.compaction.lag.ms`: records younger than this are not compacted. */
  readonly minCompactionLagMs: number;
  /**
   * Default of `max.compaction.lag.ms` (KIP-354): a log whose oldest segment not yet compacted was begun
   * longer ago is compacted, however little of it is new; -1: never for that reason.
   */
  readonly maxCompactionLagMs: number;
  /** Default of `min.cleanable.dirty.ratio`: the share of a log not yet compacted that makes it worth it. */
  readonly minCleanableDirtyRatio: number;
  /** How often segments are looked at for retention and for `segment.ms`. */
  readonly retentionCheckIntervalMs: number;
  /** How often logs are looked at for compaction. */
  readonly cleanerIntervalMs: number;
  /** Memory for the keys of one compaction. */
  readonly cleanerMemoryBytes: number;
  /** What compaction may read and write a second. */
  readonly cleanerBytesPerSecond: number;
  /** Offsets reserved durably ahead of the log end, so that none is reused after a power cut. */
  readonly offsetCeilingBlock: number;
  /** A partition's checkpoint is rewritten this long after the last one, when something came since. */
  readonly checkpointIntervalMs: number;
  /** Sooner when this much came since, though at most once a second: a restart checks what lies behind it. */
  readonly checkpointBytes: number;
  /** The file of an active segment grows by at most this much at a time. */
  readonly growStepMaxBytes: number;
  /** How far ahead of the write position one mapped segment is pre-faulted, at most. */
  readonly prefaultLeadBytes: number;
  /** What all partitions together may have pre-faulted and not yet written. */
  readonly prefaultBudgetBytes: number;
  /** A mapped segment with this much between two syncs, and four times as much a second, gets huge pages; 0: none. */
  readonly hugePagesFromBytes: number;
  /** Messages are refused while less than this is free on the disk; 0: until it is full. */
  readonly minFreeDiskBytes: number;
  /** Descriptors of sealed segments kept open for readers. */
  readonly maxOpenSegmentFiles: number;
  /** Memory for the index entries of sealed segments. */
  readonly indexCacheBytes: number;
  /** Producers a partition remembers for de-duplication; beyond it the longest idle is forgotten. */
  readonly maxProducersPerPartition: number;
  /** A producer that was idle this long is forgotten. */
  readonly producerExpirationMs: number;
  /** Producer ids reserved durably at a time. */
  readonly producerIdBlock: number;
  readonly maxTopics: number;
  /** All partitions of the broker together. */
  readonly maxPartitions: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;
const DAY_MS = 86_400_000;

/** The largest batch that any topic may allow (`max.message.bytes`), so the largest in any log. */
export const MAX_STORED_BATCH_BYTES = 64 * MiB;

/** The largest `segment.bytes`: positions in an index have 32 bits. */
export const MAX_SEGMENT_BYTES = 2 * 1024 * MiB;

export const defaultStorageConfig: StorageConfig = {
  segmentBytes: 1024 * MiB,
  maxMessageBytes: 8 * MiB,
  maxRecordsPerBatch: 100_000,
  flushMs: 1_000,
  flushBytes: 64 * MiB,
  durability: 'fsync',
  visibility: 'appended',
  indexIntervalBytes: 16 * KiB,
  timestampAfterMaxMs: 3_600_000,
  messageTimestampType: 'CreateTime',
  cleanupPolicy: 'delete',
  retentionMs: 7 * DAY_MS,
  retentionBytes: UNLIMITED,
  segmentMs: 7 * DAY_MS,
  deleteRetentionMs: DAY_MS,
  minCompactionLagMs: 0,
  maxCompactionLagMs: UNLIMITED,
  minCleanableDirtyRatio: 0.5,
  retentionCheckIntervalMs: 60_000,
  cleanerIntervalMs: 15_000,
  cleanerMemoryBytes: 64 * MiB,
  cleanerBytesPerSecond: 128 * MiB,
  offsetCeilingBlock: 200_000,
  checkpointIntervalMs: 10_000,
  checkpointBytes: MiB,
  growStepMaxBytes: 16 * MiB,
  prefaultLeadBytes: 4 * MiB,
  prefaultBudgetBytes: 64 * MiB,
  hugePagesFromBytes: 8 * MiB,
  minFreeDiskBytes: 256 * MiB,
  maxOpenSegmentFiles: 512,
  indexCacheBytes: 32 * MiB,
  maxProducersPerPartition: 10_000,
  producerExpirationMs: 86_400_000,
  producerIdBlock: 1_000,
  maxTopics: 10_000,
  maxPartitions: 20_000,
};
