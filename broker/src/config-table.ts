import { DEFAULT_MAX_FRAME_BYTES, DEFAULT_MAX_HEADER_BYTES } from '@millrace/protocol/limits';
import type { ConfigOption } from './config-option.js';
import {
  address,
  bytes,
  choice,
  count,
  decimal,
  millis,
  optionalChoice,
  text,
} from './config-option.js';
import { groupOptions } from './group-options.js';
import { modeNames, persistNames, serveNames } from './modes.js';
import type { StorageConfig } from './storage/storage-config.js';
import {
  cleanupPolicies,
  defaultStorageConfig as storage,
  MAX_SEGMENT_BYTES,
  MAX_STORED_BATCH_BYTES,
  timestampTypes,
  UNLIMITED,
} from './storage/storage-config.js';

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const GiB = 2 ** 30;
const DAY_MS = 86_400_000;

/** Where the broker listens, what it runs, and what it says. */
const brokerOptions = {
  dataDir: text('./data', 'a directory', 'Where topics are stored; one broker at a time.'),
  listen: address('127.0.0.1:7070', 'Where clients connect; port 0 takes any free one.'),
  advertisedListen: address(
    '',
    'What metadata tells clients to dial; nothing: the address that they dialled.',
    [''],
  ),
  http: address('127.0.0.1:7071', 'Where /metrics, /healthz and /readyz are; `off`: nowhere.', [
    'off',
  ]),
  maxMetricSeries: count(
    { default: 1_000, min: 0, max: 100_000 },
    'Series of one metric that has one for each topic, partition or group.',
  ),
  mode: optionalChoice(modeNames, 'How bytes are persisted and served. Default: millrace.'),
  persist: optionalChoice(persistNames, 'Overrides how the mode appends.'),
  serve: optionalChoice(serveNames, 'Overrides how the mode sends stored bytes.'),
  logLevel: choice(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    'info',
    'The least severe lines that are logged.',
  ),
} as const;

/** Bounds on connections and requests. */
const networkOptions = {
  maxConnections: count(
    { default: 5_000, min: 1, max: 1_000_000 },
    'Clients connected at a time; one more is answered OVERLOADED and closed.',
  ),
  maxConnectionsPerAddress: count(
    { default: 1_000_000, min: 1, max: 1_000_000 },
    'The same for the clients of one IP address; within maxConnections.',
  ),
  maxHttpConnections: count(
    { default: 100, min: 1, max: 100_000 },
    'Connections of the HTTP port at a time; more are closed at once.',
  ),
  maxFrameBytes: bytes(
    { default: DEFAULT_MAX_FRAME_BYTES, min: KiB, max: GiB },
    'The largest request, header and payload.',
  ),
  maxHeaderBytes: bytes(
    { default: DEFAULT_MAX_HEADER_BYTES, min: 256, max: 64 * MiB },
    'The largest request header: what is not record batches.',
  ),
  maxInFlightRequestsPerConnection: count(
    { default: 256, min: 1, max: 100_000 },
    'Requests not yet answered, or whose answer the client has not taken, before reading stops.',
  ),
  maxInFlightBytesPerConnection: bytes(
    { default: 64 * MiB, min: 64 * KiB, max: 64 * GiB },
    'Memory that requests of a client not yet served may take before reading stops.',
  ),
  maxRequestMemoryBytes: bytes(
    { default: 512 * MiB, min: MiB, max: 1024 * GiB },
    'Memory for requests of all clients; beyond it, reading stops until some is free.',
  ),
  maxOutboundBytesPerConnection: bytes(
    { default: 64 * MiB, min: 64 * KiB, max: GiB },
    'Answers waiting for a slow client before its requests are no longer read.',
  ),
  maxFetchBytes: bytes(
    { default: 64 * MiB, min: KiB, max: GiB },
    'The most record bytes in one fetch response, whatever the client asks for.',
  ),
  maxFetchWaitMs: millis(
    { default: 60_000, min: 0, max: DAY_MS },
    'The longest a fetch may wait for data.',
  ),
  sendBytesPerTurn: bytes(
    { default: MiB, min: 4 * KiB, max: GiB },
    'What one connection may send before the others get their turn.',
  ),
  requestTimeoutMs: millis(
    { default: 30_000, min: 100, max: DAY_MS },
    'A request not done by then is answered REQUEST_TIMED_OUT; looked at every second.',
  ),
  firstRequestTimeoutMs: millis(
    { default: 30_000, min: 100, max: DAY_MS },
    'A client that has sent no whole request so long after it connected is cut.',
  ),
  connectionIdleTimeoutMs: millis(
    { default: 600_000, min: 100, max: DAY_MS },
    'A client that asks for nothing for so long is disconnected; the SDK dials again when it must.',
  ),
  sendStallTimeoutMs: millis(
    { default: 60_000, min: 100, max: DAY_MS },
    'A client that takes none of the bytes that wait for it for so long is cut.',
  ),
  drainTimeoutMs: millis(
    { default: 10_000, min: 0, max: DAY_MS },
    'How long a stop waits for requests in flight.',
  ),
  maxReadMappings: count(
    { default: 256, min: 1, max: 30_000 },
    'Segment files that `serve: mmap` keeps mapped.',
  ),
} as const;

/** Bounds on what is stored; their defaults are those of the storage layer. */
const storageOptions = {
  segmentBytes: bytes(
    { default: storage.segmentBytes, min: 4 * KiB, max: MAX_SEGMENT_BYTES },
    'Default of segment.bytes: a segment is sealed before it grows beyond this.',
  ),
  maxMessageBytes: bytes(
    { default: storage.maxMessageBytes, min: KiB, max: MAX_STORED_BATCH_BYTES },
    'Default of max.message.bytes: the largest record batch, as stored.',
  ),
  maxRecordsPerBatch: count(
    { default: storage.maxRecordsPerBatch, min: 1, max: 10_000_000 },
    'The most records in one batch.',
  ),
  flushMs: millis(
    { default: storage.flushMs, min: 1, max: DAY_MS },
    'Default of flush.ms: appended bytes are synced at most this much later.',
  ),
  flushBytes: bytes(
    { default: storage.flushBytes, min: 4 * KiB, max: 64 * GiB },
    'Default of flush.bytes: this many un-synced bytes start a sync at once.',
  ),
  durability: choice(
    ['fsync', 'pagecache'],
    storage.durability,
    'What acks=all waits for: the disk, or the operating system.',
  ),
  visibility: choice(
    ['appended', 'durable'],
    storage.visibility,
    'When consumers see a batch: once appended, or once synced.',
  ),
  indexIntervalBytes: bytes(
    { default: storage.indexIntervalBytes, min: KiB, max: 16 * MiB },
    'Default of index.interval.bytes: log bytes between two index entries.',
  ),
  timestampAfterMaxMs: millis(
    { default: storage.timestampAfterMaxMs, min: 0, max: Number.MAX_SAFE_INTEGER },
    'Default of message.timestamp.after.max.ms: how far ahead a timestamp may lie.',
  ),
  messageTimestampType: choice(
    timestampTypes,
    storage.messageTimestampType,
    "Default of message.timestamp.type: records keep their producer's time, or get the broker's.",
  ),
  cleanupPolicy: choice(
    cleanupPolicies,
    storage.cleanupPolicy,
    'Default of cleanup.policy: old segments are removed, or old values of a key, or both.',
  ),
  retentionMs: millis(
    { default: storage.retentionMs, min: UNLIMITED, max: Number.MAX_SAFE_INTEGER },
    'Default of retention.ms: segments whose newest record is older are removed; -1: never.',
  ),
  retentionBytes: bytes(
    { default: storage.retentionBytes, min: UNLIMITED, max: Number.MAX_SAFE_INTEGER },
    'Default of retention.bytes: what a partition keeps at least when it grows; -1: everything.',
  ),
  segmentMs: millis(
    { default: storage.segmentMs, min: 1, max: Number.MAX_SAFE_INTEGER },
    'Default of segment.ms: a segment whose first append is older is sealed.',
  ),
  deleteRetentionMs: millis(
    { default: storage.deleteRetentionMs, min: 0, max: Number.MAX_SAFE_INTEGER },
    'Default of delete.retention.ms: how long compaction keeps tombstones.',
  ),
  minCompactionLagMs: millis(
    { default: storage.minCompactionLagMs, min: 0, max: Number.MAX_SAFE_INTEGER },
    'Default of min.compaction.lag.ms: younger records are not compacted.',
  ),
  maxCompactionLagMs: millis(
    { default: storage.maxCompactionLagMs, min: UNLIMITED, max: Number.MAX_SAFE_INTEGER },
    'Default of max.compaction.lag.ms: older segments are compacted however few; -1: no such limit.',
  ),
  minCleanableDirtyRatio: decimal(
    { default: storage.minCleanableDirtyRatio, min: 0, max: 1 },
    'Default of min.cleanable.dirty.ratio: the share not yet compacted that starts a compaction.',
  ),
  retentionCheckIntervalMs: millis(
    { default: storage.retentionCheckIntervalMs, min: 100, max: DAY_MS },
    'How often logs are looked at for retention and segment.ms.',
  ),
  cleanerIntervalMs: millis(
    { default: storage.cleanerIntervalMs, min: 10, max: DAY_MS },
    'How often logs are looked at for compaction.',
  ),
  cleanerMemoryBytes: bytes(
    { default: storage.cleanerMemoryBytes, min: MiB, max: 64 * GiB },
    'Memory for the keys of one compaction.',
  ),
  cleanerBytesPerSecond: bytes(
    { default: storage.cleanerBytesPerSecond, min: 64 * KiB, max: 64 * GiB },
    'What compaction may read and write a second.',
  ),
  offsetCeilingBlock: count(
    { default: storage.offsetCeilingBlock, min: 1, max: 2 ** 31 },
    'Offsets reserved durably ahead of the log end.',
  ),
  checkpointIntervalMs: millis(
    { default: storage.checkpointIntervalMs, min: 1, max: DAY_MS },
    'A partition rewrites its checkpoint this long after the last one, when something came since.',
  ),
  checkpointBytes: bytes(
    { default: storage.checkpointBytes, min: 1, max: GiB },
    'Or once this much came since, at most once a second: what a restart has to check of a partition.',
  ),
  growStepMaxBytes: bytes(
    { default: storage.growStepMaxBytes, min: 64 * KiB, max: GiB },
    'The file of an active segment grows by at most this much at a time.',
  ),
  prefaultLeadBytes: bytes(
    { default: storage.prefaultLeadBytes, min: 0, max: GiB },
    'How far ahead of the write position a mapped segment is pre-faulted, huge pages whole; 0: not at all.',
  ),
  prefaultBudgetBytes: bytes(
    { default: storage.prefaultBudgetBytes, min: 0, max: 64 * GiB },
    'What all partitions together may have pre-faulted and not yet written.',
  ),
  hugePagesFromBytes: bytes(
    { default: storage.hugePagesFromBytes, min: 0, max: GiB },
    'A segment that gets this much between two syncs, and four times this much a second, is mapped (adaptive) or pre-faulted (mmap) in huge pages; 0: never.',
  ),
  minFreeDiskBytes: bytes(
    { default: storage.minFreeDiskBytes, min: 0, max: Number.MAX_SAFE_INTEGER },
    'Messages are refused (DISK_FULL) while less than this is free on the disk; 0: until it is full.',
  ),
  maxOpenSegmentFiles: count(
    { default: storage.maxOpenSegmentFiles, min: 1, max: 1_000_000 },
    'Descriptors of sealed segments kept open for readers.',
  ),
  indexCacheBytes: bytes(
    { default: storage.indexCacheBytes, min: 64 * KiB, max: 64 * GiB },
    'Memory for the index entries of sealed segments.',
  ),
  maxProducersPerPartition: count(
    { default: storage.maxProducersPerPartition, min: 1, max: 10_000_000 },
    'Producers a partition remembers to recognise repeats.',
  ),
  producerExpirationMs: millis(
    { default: storage.producerExpirationMs, min: 1_000, max: 365 * DAY_MS },
    'A producer idle this long is forgotten.',
  ),
  producerIdBlock: count(
    { default: storage.producerIdBlock, min: 1, max: 1_000_000 },
    'Producer ids reserved durably at a time.',
  ),
  maxTopics: count({ default: storage.maxTopics, min: 1, max: 1_000_000 }, 'Topics at a time.'),
  maxPartitions: count(
    { default: storage.maxPartitions, min: 1, max: 1_000_000 },
    'Partitions of all topics together.',
  ),
} as const satisfies { readonly [Key in keyof StorageConfig]: ConfigOption<StorageConfig[Key]> };

/** Every option of the broker: its default, what it may be, and what it is for. */
export const configTable = {
  ...brokerOptions,
  ...networkOptions,
  ...storageOptions,
  ...groupOptions,
} as const;

export type ConfigKey = keyof typeof configTable;
