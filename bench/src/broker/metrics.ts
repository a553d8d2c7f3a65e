import { BenchError, messageOf } from '../errors.js';
import type { BrokerCost } from '../results/schema.js';

const SCRAPE_TIMEOUT_MS = 10_000;

/** Sums of a broker's metrics by name and labels, as `name` or `name{label="value"}`. */
export type Metrics = ReadonlyMap<string, number>;

/**
 * What a broker says of itself on `/metrics`.
 *
 * @param httpAddress its `host:port` for HTTP.
 * @throws BenchError when nobody answers there.
 */
export async function scrape(httpAddress: string): Promise<Metrics> {
  const url = `http://${httpAddress}/metrics`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    return parseMetrics(await response.text());
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new BenchError(
      `no metrics at ${url} (${messageOf(cause)}): start the broker with --http, or name the ` +
        'address as HOST:PORT/HTTPPORT',
      { cause: error },
    );
  }
}

/** Reads Prometheus' text format, as far as brokers use it. */
export function parseMetrics(text: string): Metrics {
  const metrics = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(\w+(?:\{[^}]*\})?) (\S+)/.exec(line);
    if (match?.[1] !== undefined) metrics.set(match[1], Number(match[2]));
  }
  return metrics;
}

/** What the broker's process did between two scrapes. */
export function costBetween(before: Metrics, after: Metrics): BrokerCost {
  const delta = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  const labelled = (name: string, label: string): Record<string, number> => {
    const found: Record<string, number> = {};
    const pattern = new RegExp(`^${name}\\{${label}="([^"]+)"\\}$`);
    for (const key of after.keys()) {
      const value = pattern.exec(key)?.[1];
      if (value !== undefined && delta(key) !== 0) found[value] = delta(key);
    }
    return found;
  };
  const native = 'millrace_native_calls_total';
  const reads = { read: delta('millrace_reads_total') };
  const loops = { epoll_wait: delta('millrace_event_loop_iterations_total') };
  const syscalls = { ...labelled(native, 'call'), ...reads, ...loops };
  const syscallBytes: Readonly<Record<string, number>> = {
    ...labelled('millrace_native_bytes_total', 'call'),
    read: delta('millrace_received_bytes_total'),
  };
  return {
    bytes: delta('millrace_produce_bytes_total') + delta('millrace_fetch_bytes_total'),
    cpuUserSeconds: delta('millrace_cpu_seconds_total{mode="user"}'),
    cpuSystemSeconds: delta('millrace_cpu_seconds_total{mode="system"}'),
    syscalls,
    syscallBytes,
    userCopiedBytes:
      delta('millrace_native_copied_bytes_total') + delta('millrace_received_copied_bytes_total'),
    crossedBytes: CROSSING.reduce((sum, call) => sum + (syscallBytes[call] ?? 0), 0),
    modeSwitches: 2 * Object.values(syscalls).reduce((sum, calls) => sum + calls, 0),
    voluntarySwitches: delta('millrace_context_switches_total{kind="voluntary"}'),
    involuntarySwitches: delta('millrace_context_switches_total{kind="involuntary"}'),
    minorFaults: delta('millrace_page_faults_total{kind="minor"}'),
    majorFaults: delta('millrace_page_faults_total{kind="major"}'),
    rssBytes: after.get('millrace_resident_memory_bytes') ?? 0,
  };
}

/** Calls whose bytes are copied between user space and the kernel; sendfile's are not. */
const CROSSING = ['read', 'pread', 'pwritev', 'send', 'sendmsg'] as const;
