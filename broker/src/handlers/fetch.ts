import { fetchApi, NO_BATCHES } from '@millrace/protocol';
import type {
  ByteChunks,
  FetchEntry,
  FetchRequest,
  FetchResponse,
  FetchResult,
} from '@millrace/protocol';
import type { LogRegion } from '../storage/file-region.js';
import type { Partition } from '../topics/partition.js';
import type { RequestContext } from './context.js';
import { FetchWait } from './fetch-wait.js';
import { findPartition } from './find-partition.js';
import type { Handler, Reply } from './handler.js';
import { rowFailure } from './row-error.js';
import type { HandlerServices } from './services.js';

/** What one look at all partitions gave. */
interface Attempt {
  readonly results: FetchResult[];
  readonly regions: LogRegion[];
  totalBytes: number;
  /** A row had no room for its next batch: those after it are left to the next request. */
  full: boolean;
  /** A row has an error: the client must learn of it now. */
  failed: boolean;
  /** Partitions and how far each could be read, for the wait. */
  readonly watched: { readonly partition: Partition; readonly highWatermark: number }[];
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

  async handle(
    request: FetchRequest,
    _payload: ByteChunks,
    context: RequestContext,
  ): Promise<Reply<FetchResponse> | undefined> {
    const { config, counters } = this.services;
    const maxBytes = Math.min(request.maxBytes, config.maxFetchBytes);
    const minBytes = Math.min(request.minBytes, maxBytes);
    const waitMs = Math.min(request.maxWaitMs, config.maxFetchWaitMs);
    const waitUntilMs = context.receivedAtMs + waitMs;
    context.deadlineMs += waitMs;
    counters.fetchEntries += request.entries.length;
    let attempt = await this.#attempt(request, maxBytes);
    const isShort = (): boolean =>
      attempt.totalBytes < minBytes && !attempt.failed && !attempt.full;
    if (isShort()) counters.fetchesWaited += 1;
    while (isShort()) {
      const missingBytes = minBytes - attempt.totalBytes;
      const wait = FetchWait.begin(
        context.connection,
        attempt.watched,
        missingBytes,
        config.visibility,
        waitUntilMs,
      );
      if (wait === undefined) break;
      releaseAll(attempt.regions);
      const outcome = await wait.outcome;
      if (outcome === 'cancelled') return undefined;
      attempt = await this.#attempt(request, maxBytes);
      if (outcome === 'over') break;
    }
    counters.fetchBytes += attempt.totalBytes;
    return { response: { entries: attempt.results }, payload: attempt.regions };
  }

  async #attempt({ entries }: FetchRequest, maxBytes: number): Promise<Attempt> {
    const attempt: Attempt = {
      results: [],
      regions: [],
      totalBytes: 0,
      full: false,
      failed: false,
      watched: [],
    };
    // Rows without anything to read take no share.
    const readable = entries.map((entry) => this.#isReadable(entry));
    let readableLeft = readable.filter(Boolean).length;
    for (const [index, entry] of entries.entries()) {
      const bytesLeft = maxBytes - attempt.totalBytes;
      const result = await this.#read(entry, attempt, bytesLeft, Math.max(readableLeft, 1));
      attempt.results.push(result);
      // Also when there was nothing after all: then its share goes to the next ones.
      if (readable[index] === true) readableLeft -= 1;
    }
    return attempt;
  }

  #isReadable({ topicId, partition, offset }: FetchEntry): boolean {
    const { topics } = this.services.storage;
    return offset < (topics.byId(topicId)?.partitions[partition]?.highWatermark ?? 0);
  }

  /** Reads one row into `attempt`; never rejects. */
  async #read(
    entry: FetchEntry,
    attempt: Attempt,
    bytesLeft: number,
    rowsLeft: number,
  ): Promise<FetchResult> {
    const { counters, logger, storage } = this.services;
    const { topicId, partition: index } = entry;
    try {
      const partition = findPartition(storage.topics, entry);
      const { highWatermark } = partition;
      attempt.watched.push({ partition, highWatermark });
      const region = await readShare(partition, entry, attempt, bytesLeft, rowsLeft);
      if (region !== undefined) {
        attempt.regions.push(region);
        attempt.totalBytes += region.length;
      }
      return {
        topicId,
        partition: index,
        errorCode: 0,
        errorMessage: null,
        highWatermark: partition.highWatermark,
        logStartOffset: partition.startOffset,
        leaderEpoch: partition.leaderEpoch,
        byteLength: region?.length ?? 0,
        ...(region?.batches ?? NO_BATCHES),
      };
    } catch (error) {
      attempt.failed = true;
      counters.fetchEntriesFailed += 1;
      const what = `fetch from partition ${index} of ${topicId}`;
      const { errorCode, errorMessage } = rowFailure(error, what, logger);
      return {
        topicId,
        partition: index,
        errorCode,
        errorMessage,
        highWatermark: -1,
        logStartOffset: -1,
        leaderEpoch: -1,
        byteLength: 0,
        ...NO_BATCHES,
      };
    }
  }
}

/** Up to the share of what is left, or one batch where that is larger and still fits. */
async function readShare(
  partition: Partition,
  { offset, maxBytes }: FetchEntry,
  attempt: Attempt,
  bytesLeft: number,
  rowsLeft: number,
): Promise<LogRegion | undefined> {
  const open = partition.state !== 'offline';
  if (open && offset === partition.highWatermark) return undefined;
  const isFirst = attempt.totalBytes === 0;
  if (attempt.full || (bytesLeft <= 0 && !isFirst)) return undefined;
  const limit = Math.max(Math.min(maxBytes, bytesLeft), 0);
  const share = Math.min(limit, Math.max(MIN_SHARE_BYTES, Math.ceil(bytesLeft / rowsLeft)));
  const region = await partition.read(offset, share, true);
  if (region === undefined || region.length <= limit || isFirst) return region;
  region.release();
  attempt.full = region.length > bytesLeft;
  return undefined;
}

function releaseAll(regions: readonly LogRegion[]): void {
  for (const region of regions) region.release();
}
