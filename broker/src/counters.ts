import type { ErrorName } from '@millrace/protocol';

/** Upper bounds of the latency buckets, in milliseconds: 0.1 ms to 30 s, about three a decade. */
export const LATENCY_BUCKETS_MS = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
] as const;

/** Latencies by bucket. Counting is two array accesses; adding up is left to who reads it. */
export class LatencyHistogram {
  /** Observations per bucket, not cumulative; the last is for what is beyond all bounds. */
  readonly counts = new Float64Array(LATENCY_BUCKETS_MS.length + 1);
  sumMs = 0;

  observe(ms: number): void {
    let bucket = 0;
    while (bucket < LATENCY_BUCKETS_MS.length && ms > (LATENCY_BUCKETS_MS[bucket] ?? 0)) {
      bucket += 1;
    }
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sumMs += ms;
  }
}

/** What happened to the requests of one API. */
export class ApiCounters {
  requests = 0;
  /** Requests answered with an error as a whole. */
  readonly errors = new Map<ErrorName, number>();
  readonly latency = new LatencyHistogram();

  constructor(readonly name: string) {}

  countError(error: ErrorName): void {
    this.errors.set(error, (this.errors.get(error) ?? 0) + 1);
  }
}

/** Why a connection was ended for what its client did not do; see `connections_cut_total`. */
export const cutReasons = ['stalled', 'slow', 'no request', 'idle'] as const;
export type CutReason = (typeof cutReasons)[number];

/** Plain numbers that hot paths add to; a metrics scrape reads them. All since the start. */
export class BrokerCounters {
  connectionsOpen = 0;
  connectionsAccepted = 0;
  connectionsRefused = 0;
  readonly connectionsCut: Record<CutReason, number> = {
    ...{ stalled: 0, slow: 0, 'no request': 0, idle: 0 },
  };
  /** Connections closed because what they sent made no sense. */
  protocolErrors = 0;
  bytesReceived = 0;
  /** Reads of client sockets that brought something. */
  reads = 0;
  /** Received bytes that were copied once more, from where all connections read to. */
  bytesCopied = 0;
  bytesSent = 0;
  produceEntries = 0;
  produceEntriesFailed = 0;
  produceBytes = 0;
  fetchEntries = 0;
  fetchEntriesFailed = 0;
  fetchBytes = 0;
  /** Fetches that had to wait for data. */
  fetchesWaited = 0;
  /** Offsets that groups committed, one for each partition. */
  offsetsCommitted = 0;
  offsetsCommitFailed = 0;
  readonly apis = new Map<number, ApiCounters>();
  /** Requests of an API that there is not. */
  readonly unknownApi = new ApiCounters('unknown');

  countRead(bytes: number): void {
    this.reads += 1;
    this.bytesReceived += bytes;
  }

  /** @param rows of the answer to a commit. */
  countCommit(rows: readonly { readonly errorCode: number }[]): void {
    const failed = rows.filter(({ errorCode }) => errorCode !== 0).length;
    this.offsetsCommitted += rows.length - failed;
    this.offsetsCommitFailed += failed;
  }

  api(apiKey: number, name: string): ApiCounters {
    let counters = this.apis.get(apiKey);
    if (counters === undefined) {
      counters = new ApiCounters(name);
      this.apis.set(apiKey, counters);
    }
    return counters;
  }
}
