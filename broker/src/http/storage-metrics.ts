import type { Storage } from '../storage/open.js';
import type { Topic } from '../topics/topic-registry.js';
import { one } from './metric.js';
import type { Define, Sample, SeriesBound } from './metric.js';

export type MeasuredStorage = Pick<Storage, 'topics' | 'stats' | 'counters' | 'disk'>;

/** What is stored, and what became of the old. */
export function defineStorage(define: Define, storage: MeasuredStorage, bound: SeriesBound): void {
  const { topics } = storage;
  define('gauge', 'topics', 'Topics.', () => one(topics.list().length));
  define('gauge', 'partitions', 'Partitions by state.', () => {
    const counts = { online: 0, offline: 0, damaged: 0 };
    for (const topic of topics.list()) {
      for (const partition of topic.partitions) counts[partition.state] += 1;
    }
    return Object.entries(counts).map(([state, value]) => ({ labels: { state }, value }));
  });
  define('gauge', 'log_bytes', 'Bytes stored by topic.', () => {
    const list = topics.list();
    return bound.take('log_bytes', list.length, topicBytes(list));
  });
  const offsets = (name: 'startOffset' | 'endOffset', metric: string, help: string): void => {
    define('gauge', metric, help, () =>
      bound.take(metric, topics.partitionCount, partitionOffsets(topics.list(), name)),
    );
  };
  offsets('startOffset', 'log_start_offset', 'The first offset of a partition.');
  offsets('endOffset', 'log_end_offset', 'The offset that the next record of a partition gets.');
  define('gauge', 'storage', 'What the storage layer counts.', () =>
    numbersOf(storage.stats()).map(([name, value]) => ({ labels: { name }, value })),
  );
  defineDisk(define, storage.disk);
  defineOldData(define, storage.counters);
}

function defineDisk(define: Define, disk: MeasuredStorage['disk']): void {
  define('gauge', 'disk_free_bytes', 'Bytes free on the disk of the data directory.', () =>
    disk.freeBytes === undefined ? [] : one(disk.freeBytes),
  );
  define('gauge', 'disk_min_free_bytes', 'Below this messages are refused.', () =>
    one(disk.minFreeBytes),
  );
  define('gauge', 'disk_low', '1 while messages are refused for want of space.', () =>
    one(disk.problem === undefined ? 0 : 1),
  );
}

/** Retention and compaction. */
function defineOldData(define: Define, counters: MeasuredStorage['counters']): void {
  const count = (name: string, help: string, value: () => number): void => {
    define('counter', name, help, () => one(value()));
  };
  count(
    'retention_segments_removed_total',
    'Segments removed by retention or deleted records.',
    () => counters.removedSegments,
  );
  count('retention_removed_bytes_total', 'Bytes of those segments.', () => counters.removedBytes);
  count('compaction_runs_total', 'Passes over a log that ended.', () => counters.compactions);
  count(
    'compaction_failures_total',
    'Passes over a log that failed and are tried again.',
    () => counters.compactionFailures,
  );
  count('compaction_seconds_total', 'Time that passes took.', () => counters.compactionMs / 1_000);
  count(
    'compaction_input_bytes_total',
    'Bytes of the segments that passes went over.',
    () => counters.compactionInputBytes,
  );
  count(
    'compaction_output_bytes_total',
    'Bytes that were left of those segments.',
    () => counters.compactionOutputBytes,
  );
  count(
    'compaction_records_removed_total',
    'Records that passes took out.',
    () => counters.compactionRemovedRecords,
  );
}

function* topicBytes(topics: readonly Topic[]): Generator<Sample> {
  for (const { name, partitions } of topics) {
    const value = partitions.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    yield { labels: { topic: name }, value };
  }
}

function* partitionOffsets(
  topics: readonly Topic[],
  name: 'startOffset' | 'endOffset',
): Generator<Sample> {
  for (const { name: topic, partitions } of topics) {
    for (const partition of partitions) {
      yield { labels: { topic, partition: partition.index }, value: partition[name] };
    }
  }
}

/** The numeric fields of an object. */
function numbersOf(fields: object): readonly [string, number][] {
  return Object.entries(fields).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  );
}
