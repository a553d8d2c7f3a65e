import type { Native, SyscallCount } from '@millrace/native';
import promClient from 'prom-client';
import type { ApiCounters, BrokerCounters } from '../counters.js';
import { cutReasons, LATENCY_BUCKETS_MS } from '../counters.js';
import { defineGroups } from './group-metrics.js';
import type { GroupSources } from './group-metrics.js';
import { collectedMetric, one, SeriesBound } from './metric.js';
import type { Define, Sample } from './metric.js';
import { defineProcess } from './process-metrics.js';
import { defineStorage } from './storage-metrics.js';
import type { MeasuredStorage } from './storage-metrics.js';

export interface MetricSources {
  readonly counters: BrokerCounters;
  readonly storage: MeasuredStorage;
  readonly groups: GroupSources['groups'];
  readonly native: Native | undefined;
  /** Series of one metric that has one for each topic, partition or group. */
  readonly maxSeries: number;
}

export interface Metrics {
  readonly contentType: string;
  readonly render: () => Promise<string>;
}

/**
 * All metrics of one broker, in a registry of its own: several brokers can run in a process. Nothing
 * is added up before somebody asks.
 */
export function createMetrics(sources: MetricSources): Metrics {
  const { counters, groups, maxSeries, native, storage } = sources;
  const registry = new promClient.Registry();
  const bound = new SeriesBound(maxSeries);
  const define: Define = (type, name, help, collect) => {
    registry.registerMetric(collectedMetric(`millrace_${name}`, type, help, collect));
  };
  defineNetwork(define, counters);
  defineRequests(define, counters);
  defineStorage(define, storage, bound);
  defineGroups(define, { groups, counters, topics: storage.topics }, bound);
  bound.define(define);
  if (native !== undefined) defineNative(define, native);
  defineProcess(define);
  return { contentType: registry.contentType, render: () => registry.metrics() };
}

function defineNetwork(define: Define, counters: BrokerCounters): void {
  define('gauge', 'connections', 'Clients connected now.', () => one(counters.connectionsOpen));
  define('counter', 'connections_accepted_total', 'Connections accepted.', () =>
    one(counters.connectionsAccepted),
  );
  define('counter', 'connections_refused_total', 'Connections beyond the bounds.', () =>
    one(counters.connectionsRefused),
  );
  define('counter', 'connections_cut_total', 'Connections ended for what they did not do.', () =>
    cutReasons.map((reason) => ({ labels: { reason }, value: counters.connectionsCut[reason] })),
  );
  define('counter', 'protocol_errors_total', 'Connections closed for malformed bytes.', () =>
    one(counters.protocolErrors),
  );
  define('counter', 'received_bytes_total', 'Bytes read from clients.', () =>
    one(counters.bytesReceived),
  );
  define('counter', 'reads_total', 'Reads of client sockets that brought something.', () =>
    one(counters.reads),
  );
  define('counter', 'received_copied_bytes_total', 'Received bytes copied in user space.', () =>
    one(counters.bytesCopied),
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
