import type { Native, SyscallCount } from '@millrace/native';
import promClient from 'prom-client';
import type { Metric } from 'prom-client';
import type { ApiCounters, BrokerCounters } from '../counters.js';
import { LATENCY_BUCKETS_MS } from '../counters.js';
import type { Storage } from '../storage/open.js';

export interface MetricSources {
  readonly counters: BrokerCounters;
  readonly storage: Pick<Storage, 'topics' | 'stats'>;
  readonly native: Native | undefined;
}

export interface Metrics {
  readonly contentType: string;
  readonly render: () => Promise<string>;
}

interface Sample {
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Default: the metric's own name. */
  readonly metricName?: string;
}

type MetricType = 'counter' | 'gauge' | 'histogram';
type Collect = () => readonly Sample[];

/**
 * All metrics of one broker, in a registry of its own: several brokers can run in a process. Nothing
 * is added up before somebody asks.
 */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new promClient.Registry();
  const define = (type: MetricType, name: string, help: string, collect: Collect): void => {
    registry.registerMetric(collectedMetric(`millrace_${name}`, type, help, collect));
  };
  defineNetwork(define, sources.counters);
  defineRequests(define, sources.counters);
  defineStorage(define, sources.storage);
  if (sources.native !== undefined) defineNative(define, sources.native);
  defineProcess(define);
  return { contentType: registry.contentType, render: () => registry.metrics() };
}

type Define = (type: MetricType, name: string, help: string, collect: Collect) => void;

/**
 * A metric whose samples are made when scraped. prom-client's own classes count by themselves, a hash
 * of the labels each time; its registry asks a metric for nothing but `get`.
 */
function collectedMetric(name: string, type: MetricType, help: string, collect: Collect): Metric {
  const get = (): Promise<unknown> =>
    Promise.resolve({
      ...{ name, help, type, aggregator: 'sum' },
      values: collect().map(({ labels = {}, value, metricName = name }) => ({
        ...{ labels, value, metricName },
      })),
    });
  return { name, help, type, get, reset: () => undefined } as unknown as Metric;
}

const one = (value: number): readonly Sample[] => [{ value }];

function defineNetwork(define: Define, counters: BrokerCounters): void {
  define('gauge', 'connections', 'Clients connected now.', () => one(counters.connectionsOpen));
  define('counter', 'connections_accepted_total', 'Connections accepted.', () =>
    one(counters.connectionsAccepted),
  );
  define('counter', 'connections_refused_total', 'Connections beyond maxConnections.', () =>
    one(counters.connectionsRefused),
  );
  define('counter', 'protocol_errors_total', 'Connections closed for malformed bytes.', () =>
    one(counters.protocolErrors),
  );
  define('counter', 'received_bytes_total', 'Bytes read from clients.', () =>
    one(counters.bytesReceived),
  );
  define('counter', 'sent_bytes_total', 'Bytes handed to the kernel for clients.', () =>
    one(counters.bytesSent),
  );
}

function defineRequests(define: Define, counters: BrokerCounters): void {
  const apis = (): readonly ApiCounters[] => [...counters.apis.values(), counters.unknownApi];
  define('counter', 'requests_total', 'Requests by API.', () =>
    apis().map(({ name, requests }) => ({ labels: { api: name }, value: requests })),
  );
  define('counter', 'request_errors_total', 'Requests refused as a whole.', () =>
    apis().flatMap(({ name, errors }) =>
      [...errors].map(([error, value]) => ({ labels: { api: name, error }, value })),
    ),
  );
  define('histogram', 'request_duration_seconds', 'From received to answered.', () =>
    apis().flatMap(durationSamples),
  );
  const row = (name: string, help: string, value: () => number): void => {
    define('counter', name, help, () => one(value()));
  };
  row('produce_entries_total', 'Appends asked for.', () => counters.produceEntries);
  row('produce_entries_failed_total', 'Appends refused.', () => counters.produceEntriesFailed);
  row('produce_bytes_total', 'Bytes of batches to append.', () => counters.produceBytes);
  row('fetch_entries_total', 'Partition reads asked for.', () => counters.fetchEntries);
  row('fetch_entries_failed_total', 'Partition reads refused.', () => counters.fetchEntriesFailed);
  row('fetch_bytes_total', 'Bytes of batches served.', () => counters.fetchBytes);
  row('fetches_waited_total', 'Fetches that waited for data.', () => counters.fetchesWaited);
}

function durationSamples({ name: api, latency }: ApiCounters): Sample[] {
  const metric = 'millrace_request_duration_seconds';
  const samples: Sample[] = [];
  let total = 0;
  for (const [index, count] of latency.counts.entries()) {
    total += count;
    const boundMs = LATENCY_BUCKETS_MS[index];
    const le = boundMs === undefined ? '+Inf' : boundMs / 1_000;
    samples.push({ metricName: `${metric}_bucket`, labels: { api, le }, value: total });
  }
  samples.push({
    metricName: `${metric}_sum`,
    labels: { api },
    value: latency.sumMs / 1_000,
  });
  samples.push({ metricName: `${metric}_count`, labels: { api }, value: total });
  return samples;
}

function defineStorage(define: Define, storage: MetricSources['storage']): void {
  const { topics } = storage;
  define('gauge', 'topics', 'Topics.', () => one(topics.list().length));
  define('gauge', 'partitions', 'Partitions by state.', () => {
    const counts = { online: 0, offline: 0 };
    for (const topic of topics.list()) {
      for (const partition of topic.partitions) counts[partition.state] += 1;
    }
    return Object.entries(counts).map(([state, value]) => ({ labels: { state }, value }));
  });
  define('gauge', 'log_bytes', 'Bytes stored by topic.', () =>
    topics.list().map(({ name, partitions }) => ({
      labels: { topic: name },
      value: partitions.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    })),
  );
  define('gauge', 'storage', 'What the storage layer counts.', () =>
    numbersOf(storage.stats()).map(([name, value]) => ({ labels: { name }, value })),
  );
}

function defineNative(define: Define, native: Native): void {
  const kinds = (field: 'calls' | 'bytes'): readonly Sample[] =>
    Object.entries<number | SyscallCount>({ ...native.counters() }).flatMap(([call, count]) =>
      typeof count === 'number' ? [] : [{ labels: { call }, value: count[field] }],
    );
  define('counter', 'native_calls_total', 'System calls by kind.', () => kinds('calls'));
  define('counter', 'native_bytes_total', 'Bytes by kind of system call.', () => kinds('bytes'));
  define('counter', 'native_copied_bytes_total', 'Bytes copied in user space.', () =>
    one(native.counters().copiedBytes),
  );
  define('counter', 'native_would_block_total', 'Sends that found the socket full.', () =>
    one(native.counters().wouldBlock),
  );
  define('counter', 'native_failures_total', 'System calls that failed.', () =>
    one(native.counters().failures),
  );
}

function defineProcess(define: Define): void {
  define('gauge', 'resident_memory_bytes', 'Resident memory of the process.', () =>
    one(process.memoryUsage.rss()),
  );
  define('counter', 'cpu_seconds_total', 'CPU time of the process.', () => {
    const { user, system } = process.cpuUsage();
    return [
      { labels: { mode: 'user' }, value: user / 1e6 },
      { labels: { mode: 'system' }, value: system / 1e6 },
    ];
  });
}

/** The numeric fields of an object. */
function numbersOf(fields: object): readonly [string, number][] {
  return Object.entries(fields).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  );
}
