import { fetchApi, ProtocolError, type FetchResult } from '@millrace/protocol';
import { doubtsMetadata, type Cluster } from '../cluster.js';
import { BrokerError, ConnectionError, toMillraceError, type MillraceError } from '../errors.js';
import type { Address } from '../net/address.js';
import { ignore, sleep } from '../util/async.js';
import { partitionName } from '../util/text.js';
import type { StreamOptions } from './fetch-options.js';
import { PartitionLocator, pauseBeforeRetry, type TopicGoneListener } from './partition-locator.js';
import type { PartitionReader, PendingBatch } from './partition-reader.js';
import { resetOffset } from './start-offsets.js';

/** Pause after an empty answer that came at once, so that no loop runs hot. */
const EMPTY_FETCH_PAUSE_MS = 10;

/**
 * A request asks for no more partitions than this that have something: those make the answer worth while, and
 * what the others cost would be for nothing. Where fewer fill the answer, it asks for no more than those, but
 * for {@link MIN_READABLE_ROWS}.
 */
const MAX_READABLE_ROWS = 128;

/** It asks for so many all the same. A broker gives each at least 256 KiB: so many fill an answer of the default size. */
const MIN_READABLE_ROWS = 16;

/** What the fetcher tells the stream. */
export interface FetcherCallbacks {
  readonly onBatches: (reader: PartitionReader, batches: readonly PendingBatch[]) => void;
  /** The position was out of range, and reading goes on elsewhere. */
  readonly onReset: (reader: PartitionReader, offset: number) => void;
  readonly onTopicGone: TopicGoneListener;
  /** The stream cannot go on. */
  readonly onFailed: (error: unknown) => void;
  /** Something changed: perhaps everything is read. */
  readonly onProgress: () => void;
  /** Whether more should be fetched now. */
  readonly wantsMore: () => boolean;
}

interface NodeFetch {
  /** The node and whether it is the fetch of the urgent. */
  readonly slot: string;
  readonly address: Address;
  readonly readers: PartitionReader[];
  readonly maxWaitMs: number;
  /** The first that was left out; undefined: none. */
  readonly next?: PartitionReader;
}

/** How the fetches of a slot take turns. */
interface Turns {
  /** Who comes first in the next request, so that none starves behind others that have much. */
  readonly first: PartitionReader | undefined;
  /** How many that have something are asked for at a time. */
  readonly readableRows: number;
}

const FIRST_TURNS: Turns = { first: undefined, readableRows: MAX_READABLE_ROWS };

interface Asked {
  readonly reader: PartitionReader;
  readonly epoch: number;
  readonly offset: number;
}

/**
 * Keeps one fetch under way per broker that leads partitions of the stream, while more is wanted;
 * and beside a long poll a second, which does not wait, for partitions that have just come or
 * jumped. Positions move when bytes arrive, so that the next fetch goes out while the application
 * works on the last.
 */
export class Fetcher {
  readonly #cluster: Cluster;
  readonly #options: StreamOptions;
  readonly #readers: Set<PartitionReader>;
  readonly #callbacks: FetcherCallbacks;
  readonly #signal: AbortSignal;
  readonly #locator: PartitionLocator;
  /** Whether a fetch of the slot is under way. Slots stay: see `PendingRequests` for what it costs to delete. */
  readonly #busySlots = new Map<string, boolean>();
  #locating = false;
  #failures = 0;
  readonly #turns = new Map<string, Turns>();

  /** @param readers what to fetch; its owner adds and deletes */
  constructor(
    cluster: Cluster,
    options: StreamOptions,
    readers: Set<PartitionReader>,
    signal: AbortSignal,
    callbacks: FetcherCallbacks,
  ) {
    this.#cluster = cluster;
    this.#options = options;
    this.#readers = readers;
    this.#signal = signal;
    this.#callbacks = callbacks;
    this.#locator = new PartitionLocator(cluster, readers, signal, callbacks.onTopicGone);
  }

  /** Starts what fetches are due. */
  turn(): void {
    if (this.#signal.aborted || !this.#callbacks.wantsMore()) return;
    for (const fetch of this.#plan()) {
      this.#busySlots.set(fetch.slot, true);
      const asked = fetch.readers.map((reader) => ({
        reader,
        epoch: reader.fetchStarted(),
        offset: reader.fetchOffset,
      }));
      this.#fetch(fetch, asked)
        .catch((error: unknown) => this.#onFetchFailed(error))
        .finally(() => {
          this.#busySlots.set(fetch.slot, false);
          for (const { reader, epoch } of asked) reader.fetchEnded(epoch);
          this.turn();
        })
        .catch(ignore);
    }
  }

  #plan(): NodeFetch[] {
    const plan = new Map<string, NodeFetch>();
    const starts = new Map<string, number>();
    for (const reader of this.#readers) {
      // Also when it wants nothing now: those behind it are next.
      for (const [slot, { first }] of this.#turns) {
        if (first === reader) starts.set(slot, plan.get(slot)?.readers.length ?? 0);
      }
      if (!reader.wantsFetch) continue;
      const route = this.#cluster.peek(reader.topic);
      const leader = route?.partitions[reader.partition]?.leader ?? -1;
      const address = this.#cluster.addressOf(leader);
      if (route?.topicId !== reader.topicId || address === undefined) {
        // What is known may be older than the reader.
        if (route !== undefined && route.topicId !== reader.topicId) {
          this.#cluster.forget(reader.topic);
        }
        this.#locate();
        continue;
      }
      const fetch = this.#slotFor(reader, leader, address, plan);
      fetch?.readers.push(reader);
    }
    return [...plan.values()].map((fetch) => {
      const { readableRows } = this.#turnsOf(fetch.slot);
      return limited(fetch, starts.get(fetch.slot) ?? 0, readableRows);
    });
  }

  #slotFor(
    reader: PartitionReader,
    leader: number,
    address: Address,
    plan: Map<string, NodeFetch>,
  ): NodeFetch | undefined {
    let slot = `${leader}`;
    // At the end the answer shall say so at once instead of waiting for more.
    let maxWaitMs = this.#options.exitAtEnd ? 0 : this.#options.maxWaitMs;
    if (this.#busySlots.get(slot) === true) {
      if (!reader.urgent) return undefined;
      slot = `${leader} urgent`;
      maxWaitMs = 0;
      if (this.#busySlots.get(slot) === true) return undefined;
    }
    let fetch = plan.get(slot);
    if (fetch === undefined) {
      fetch = { slot, address, readers: [], maxWaitMs };
      plan.set(slot, fetch);
    }
    return fetch;
  }

  async #fetch(fetch: NodeFetch, asked: readonly Asked[]): Promise<void> {
    const { address, maxWaitMs, slot } = fetch;
    const { maxBytes, minBytes, exitAtEnd } = this.#options;
    const connection = await this.#cluster.pool.get('fetch', address, this.#signal);
    const entries = asked.map(({ reader: { topicId, partition }, offset }) => ({
      topicId,
      partition,
      offset,
      maxBytes,
    }));
    const startedMs = performance.now();
    const { response, payload } = await connection.request(
      fetchApi,
      { maxWaitMs, minBytes, maxBytes, entries },
      { timeoutMs: this.#cluster.requestTimeoutMs + maxWaitMs },
    );
    if (this.#signal.aborted) return;
    this.#failures = 0;
    const { broker } = connection;
    const bytes = payload.toBuffer();
    checkFits(entries, response.entries, bytes.length, broker);
    const error = this.#takeRows(asked, response.entries, bytes, broker);
    this.#turns.set(slot, this.#nextTurns(fetch, response.entries, bytes.length));
    this.#callbacks.onProgress();
    if (error !== undefined) throw error;
    const hot = bytes.length === 0 && performance.now() - startedMs < EMPTY_FETCH_PAUSE_MS;
    if (hot && maxWaitMs > 0 && !exitAtEnd) await sleep(EMPTY_FETCH_PAUSE_MS, this.#signal);
  }

  #turnsOf(slot: string): Turns {
    return this.#turns.get(slot) ?? FIRST_TURNS;
  }

  /** After an answer with `bytes` of messages. */
  #nextTurns(
    { slot, readers, next }: NodeFetch,
    rows: readonly FetchResult[],
    bytes: number,
  ): Turns {
    const { readableRows } = this.#turnsOf(slot);
    const lastServed = rows.findLastIndex(({ byteLength }) => byteLength > 0);
    const first = readers[lastServed + 1] ?? next;
    if (readers.slice(lastServed + 1).some(({ hasMore }) => hasMore)) {
      const served = rows.filter(({ byteLength }) => byteLength > 0).length;
      return { first, readableRows: Math.max(served, MIN_READABLE_ROWS) };
    }
    // Without room for more the next answer would leave some out again.
    if (bytes * 2 > this.#options.maxBytes) return { first, readableRows };
    return { first, readableRows: Math.min(readableRows * 2, MAX_READABLE_ROWS) };
  }

  /** @returns the first error of a row that makes all wait. */
  #takeRows(
    asked: readonly Asked[],
    rows: readonly FetchResult[],
    bytes: Buffer,
    broker: string,
  ): MillraceError | undefined {
    let position = 0;
    let firstError: MillraceError | undefined;
    for (const [index, { reader, epoch }] of asked.entries()) {
      const row = rows[index] as FetchResult;
      const start = position;
      position += row.byteLength;
      // Given up, or moved elsewhere, since it was asked for.
      if (reader.epoch !== epoch) continue;
      reader.urgent = false;
      if (row.errorCode !== 0) firstError ??= this.#onRowError(reader, row, broker);
      else if (row.byteLength > 0) {
        const batches = reader.cut(bytes.subarray(start, position), row);
        reader.hasMore = row.highWatermark > reader.fetchOffset;
        this.#callbacks.onBatches(reader, batches);
      } else {
        // Empty for want of room in the response is not the end; offsets alone do not tell, for
        // the last of them may be a gap that recovery left.
        reader.hasMore = row.highWatermark > reader.fetchOffset && bytes.length > 0;
        const nothing = row.highWatermark === reader.fetchOffset || bytes.length === 0;
        if (this.#options.exitAtEnd && nothing) reader.atEnd = true;
      }
    }
    return firstError;
  }

  /** Gives an error that makes all wait; deals with the others. */
  #onRowError(
    reader: PartitionReader,
    row: FetchResult,
    broker: string,
  ): MillraceError | undefined {
    const { topic, partition } = reader;
    reader.hasMore = false;
    const cause = ProtocolError.fromCode(row.errorCode, row.errorMessage);
    if (cause.errorName === 'OFFSET_OUT_OF_RANGE') {
      this.#reset(reader);
      return undefined;
    }
    const action = `fetch ${partitionName(topic, partition)} from offset ${reader.fetchOffset}`;
    const error = new BrokerError(cause, { broker, topic, partition, action });
    if (doubtsMetadata(error)) this.#cluster.forget(topic);
    return error;
  }

  async #onFetchFailed(thrown: unknown): Promise<void> {
    if (this.#signal.aborted) return;
    const error = toMillraceError(thrown);
    if (!error.retriable) {
      this.#callbacks.onFailed(error);
      return;
    }
    if (error.topic === undefined && doubtsMetadata(error)) {
      for (const { topic } of this.#readers) this.#cluster.forget(topic);
    }
    this.#failures += 1;
    await pauseBeforeRetry(this.#cluster, 'fetch', this.#failures, error, this.#signal);
  }

  #reset(reader: PartitionReader): void {
    reader.resetting = true;
    const { epoch } = reader;
    const limits = { signal: this.#signal, retryForMs: Infinity };
    resetOffset(this.#cluster, reader, this.#options.onOutOfRange, limits)
      .then((offset) => {
        if (reader.epoch !== epoch) return;
        this.#callbacks.onReset(reader, offset);
        this.turn();
      })
      .catch((error: unknown) => {
        if (!this.#signal.aborted && reader.epoch === epoch) this.#callbacks.onFailed(error);
      });
  }

  /** Looks up where the partitions are now. */
  #locate(): void {
    if (this.#locating) return;
    this.#locating = true;
    this.#locator
      .locate()
      .catch((error: unknown) => {
        if (!this.#signal.aborted) this.#callbacks.onFailed(error);
      })
      .finally(() => {
        this.#locating = false;
        this.turn();
      })
      .catch(ignore);
  }
}

/**
 * From `start` on, and without those behind the first `readableRows` that have something. What is left out is not
 * to wait for these: when they turn out to have nothing the answer says so at once, and it is their turn.
 */
function limited(fetch: NodeFetch, start: number, readableRows: number): NodeFetch {
  const readers = [...fetch.readers.slice(start), ...fetch.readers.slice(0, start)];
  let readable = 0;
  const end = readers.findIndex(({ hasMore }) => hasMore && ++readable > readableRows);
  const next = readers[end];
  if (next === undefined) return { ...fetch, readers };
  return { ...fetch, readers: readers.slice(0, end), maxWaitMs: 0, next };
}

function checkFits(
  asked: readonly { readonly topicId: string; readonly partition: number }[],
  answered: readonly FetchResult[],
  payloadBytes: number,
  broker: string,
): void {
  let bytes = 0;
  let fits = asked.length === answered.length;
  for (const [index, row] of answered.entries()) {
    bytes += row.byteLength;
    fits &&= row.topicId === asked[index]?.topicId && row.partition === asked[index].partition;
  }
  if (fits && bytes === payloadBytes) return;
  throw new ConnectionError(`A fetch response of ${broker} does not fit its request`, { broker });
}
