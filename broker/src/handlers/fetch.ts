import { fetchApi, NO_BATCHES } from '@millrace/protocol';
import type {
  ByteChunks,
  FetchEntry,
  FetchRequest,
  FetchResponse,
  FetchResult,
} from '@millrace/protocol';
import { andThen } from '../maybe-promise.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { LogRegion } from '../storage/file-region.js';
import type { Partition } from '../topics/partition.js';
import type { RequestContext } from './context.js';
import { FetchWait } from './fetch-wait.js';
import type { Watched } from './fetch-wait.js';
import { findPartition } from './find-partition.js';
import type { Handler, Reply } from './handler.js';
import { rowFailure } from './row-error.js';
import type { HandlerServices } from './services.js';

/** What one look at all partitions gave. */
interface Attempt {
  readonly entries: readonly FetchEntry[];
  /** Of each entry; undefined: there is none. */
  readonly partitions: readonly (Partition | undefined)[];
  /** Which had something to read when the look began: only those count for the shares. */
  readonly readable: readonly boolean[];
  readonly maxBytes: number;
  /** Of the entries so far. */
  readonly results: FetchResult[];
  readonly regions: LogRegion[];
  totalBytes: number;
  /** Rows with something to read, of those to come. */
  readableLeft: number;
  /** A row had no room for its next batch: those after it are left to the next request. */
  full: boolean;
  /** A row has an error: the client must learn of it now. */
  failed: boolean;
  /** Partitions and how far each could be read, for the wait. */
  readonly watched: Watched[];
}

/**
 * A row gets no less than this of what there is: to look a position up and to send from it costs as much for
 * little as for much. Where there are too many rows for that, the last get nothing.
 */
const MIN_SHARE_BYTES = 256 * 1024;

/**
 * Reads batches, waiting for `minBytes` of them at most `maxWaitMs`.
 *
 * Rows share `maxBytes` evenly, but for {@link MIN_SHARE_BYTES}; what a row leaves goes to those after it. A
 * first batch larger than all bounds is given all the same, or its reader would be stuck. Who asks puts those
 * that got nothing first the next time, as in Kafka (KIP-74).
 */
export class FetchHandler implements Handler<FetchRequest, FetchResponse> {
  readonly api = fetchApi;

  constructor(private readonly services: HandlerServices) {}

  handle(
    request: FetchRequest,
    _payload: ByteChunks,
    context: RequestContext,
  ): MaybePromise<Reply<FetchResponse> | undefined> {
    const { config, counters } = this.services;
    const maxBytes = Math.min(request.maxBytes, config.maxFetchBytes);
    const minBytes = Math.min(request.minBytes, maxBytes);
    const waitMs = Math.min(request.maxWaitMs, config.maxFetchWaitMs);
    context.deadlineMs += waitMs;
    counters.fetchEntries += request.entries.length;
    return andThen(this.#attempt(request, maxBytes), (attempt) => {
      if (!isShort(attempt, minBytes)) return this.#reply(attempt);
      counters.fetchesWaited += 1;
      return this.#wait(request, attempt, minBytes, context, context.receivedAtMs + waitMs);
    });
  }

  #reply({ totalBytes, results, regions }: Attempt): Reply<FetchResponse> {
    this.services.counters.fetchBytes += totalBytes;
    return { response: { entries: results }, payload: regions };
  }

  /** Looks again each time that enough may have come, until that is so. */
  async #wait(
    request: FetchRequest,
    first: Attempt,
    minBytes: number,
    { connection }: RequestContext,
    untilMs: number,
  ): Promise<Reply<FetchResponse> | undefined> {
    const { visibility } = this.services.config;
    let attempt = first;
    while (isShort(attempt, minBytes)) {
      const missingBytes = minBytes - attempt.totalBytes;
      const { watched } = attempt;
      const wait = FetchWait.begin(connection, watched, missingBytes, visibility, untilMs);
      if (wait === undefined) break;
      releaseAll(attempt.regions);
      const outcome = await wait.outcome;
      if (outcome === 'cancelled') return undefined;
      attempt = await this.#attempt(request, attempt.maxBytes);
      if (outcome === 'over') break;
    }
    return this.#reply(attempt);
  }

  #attempt({ entries }: FetchRequest, maxBytes: number): MaybePromise<Attempt> {
    const { topics } = this.services.storage;
    const partitions: (Partition | undefined)[] = [];
    const readable: boolean[] = [];
    let readableLeft = 0;
    for (const entry of entries) {
      const partition = topics.byId(entry.topicId)?.partitions[entry.partition];
      const isReadable = entry.offset < (partition?.highWatermark ?? 0);
      partitions.push(partition);
      readable.push(isReadable);
      if (isReadable) readableLeft += 1;
    }
    const attempt: Attempt = {
      entries,
      partitions,
      readable,
      maxBytes,
      results: [],
      regions: [],
      totalBytes: 0,
      readableLeft,
      full: false,
      failed: false,
      watched: [],
    };
    const pending = this.#readRows(attempt);
    return pending === undefined ? attempt : this.#readAllRows(attempt, pending);
  }

  async #readAllRows(attempt: Attempt, first: Promise<void>): Promise<Attempt> {
    let pending: Promise<void> | undefined = first;
    while (pending !== undefined) {
      await pending;
      pending = this.#readRows(attempt);
    }
    return attempt;
  }

  /** Reads the rows from the next one on, up to one that has to be waited for. */
  #readRows(attempt: Attempt): Promise<void> | undefined {
    const { entries, partitions, readable, results } = attempt;
    for (let entry = entries[results.length]; entry; entry = entries[results.length]) {
      const partition = partitions[results.length];
      // Also when there is nothing after all: then its share goes to the next ones.
      const takesShare = readable[results.length] === true ? 1 : 0;
      const result = this.#read(entry, partition, attempt);
      if (result instanceof Promise) {
        return result.then((row) => {
          results.push(row);
          attempt.readableLeft -= takesShare;
        });
      }
      results.push(result);
      attempt.readableLeft -= takesShare;
    }
    return undefined;
  }

  /** Reads one row into `attempt`; never throws or rejects. */
  #read(
    entry: FetchEntry,
    known: Partition | undefined,
    attempt: Attempt,
  ): MaybePromise<FetchResult> {
    try {
      // For its error, where there is none.
      const partition = known ?? findPartition(this.services.storage.topics, entry);
      attempt.watched.push({ partition, highWatermark: partition.highWatermark });
      const region = readShare(partition, entry, attempt);
      if (!(region instanceof Promise)) return readRow(entry, partition, attempt, region);
      return region.then(
        (read) => readRow(entry, partition, attempt, read),
        (error: unknown) => this.#failedRow(entry, attempt, error),
      );
    } catch (error) {
      return this.#failedRow(entry, attempt, error);
    }
  }

  #failedRow({ topicId, partition }: FetchEntry, attempt: Attempt, error: unknown): FetchResult {
    const { counters, logger } = this.services;
    attempt.failed = true;
    counters.fetchEntriesFailed += 1;
    const what = `fetch from partition ${partition} of ${topicId}`;
    return {
      topicId,
      partition,
      ...rowFailure(error, what, logger),
      highWatermark: -1,
      logStartOffset: -1,
      leaderEpoch: -1,
      byteLength: 0,
      ...NO_BATCHES,
    };
  }
}

function isShort({ totalBytes, failed, full }: Attempt, minBytes: number): boolean {
  return totalBytes < minBytes && !failed && !full;
}

function readRow(
  { topicId, partition: index }: FetchEntry,
  partition: Partition,
  attempt: Attempt,
  region: LogRegion | undefined,
): FetchResult {
  if (region !== undefined) {
    attempt.regions.push(region);
    attempt.totalBytes += region.length;
  }
  const batches = region?.batches ?? NO_BATCHES;
  return {
    topicId,
    partition: index,
    errorCode: 0,
    errorMessage: null,
    highWatermark: partition.highWatermark,
    logStartOffset: partition.startOffset,
    leaderEpoch: partition.leaderEpoch,
    byteLength: region?.length ?? 0,
    firstOffset: batches.firstOffset,
    lowestEpoch: batches.lowestEpoch,
    highestEpoch: batches.highestEpoch,
    gapless: batches.gapless,
  };
}

/** Up to the share of what is left, or one batch where that is larger and still fits. */
function readShare(
  partition: Partition,
  { offset, maxBytes }: FetchEntry,
  attempt: Attempt,
): MaybePromise<LogRegion | undefined> {
  const open = partition.state !== 'offline';
  if (open && offset === partition.highWatermark) return undefined;
  const isFirst = attempt.totalBytes === 0;
  const bytesLeft = attempt.maxBytes - attempt.totalBytes;
  if (attempt.full || (bytesLeft <= 0 && !isFirst)) return undefined;
  const limit = Math.max(Math.min(maxBytes, bytesLeft), 0);
  const evenly = Math.ceil(bytesLeft / Math.max(attempt.readableLeft, 1));
  const share = Math.min(limit, Math.max(MIN_SHARE_BYTES, evenly));
  return andThen(partition.readAtOnce(offset, share, true), (region) => {
    if (region === undefined || region.length <= limit || isFirst) return region;
    region.release();
    attempt.full = region.length > bytesLeft;
    return undefined;
  });
}

function releaseAll(regions: readonly LogRegion[]): void {
  for (const region of regions) region.release();
}
