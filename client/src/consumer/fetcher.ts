import { fetchApi, ProtocolError, type FetchResult } from '@millrace/protocol';
import { doubtsMetadata, type Cluster, type TopicRoute } from '../cluster.js';
import {
  BrokerError,
  ConnectionError,
  toMillraceError,
  TopicRecreatedError,
  UnknownTopicError,
  type MillraceError,
} from '../errors.js';
import type { Address } from '../net/address.js';
import { ignore, sleep } from '../util/async.js';
import { backoffMs } from '../util/backoff.js';
import { partitionName, quoted } from '../util/text.js';
import type { ResolvedConsumerOptions } from './options.js';
import type { PartitionReader, PendingBatch } from './partition-reader.js';
import { resetOffset } from './start-offsets.js';

/** Pause after an empty answer that came at once, so that no loop runs hot. */
const EMPTY_FETCH_PAUSE_MS = 10;

/** What the fetcher tells the consumer. */
export interface FetcherCallbacks {
  readonly onBatches: (batches: readonly PendingBatch[]) => void;
  /** The consumer cannot go on. */
  readonly onFailed: (error: unknown) => void;
  /** Something changed: perhaps everything is read. */
  readonly onProgress: () => void;
  /** Whether more should be fetched now. */
  readonly wantsMore: () => boolean;
}

interface NodeFetch {
  readonly address: Address;
  readonly readers: PartitionReader[];
}

/**
 * Keeps one fetch under way per broker that leads partitions of the consumer, while more is
 * wanted. Positions move when bytes arrive, so that the next fetch goes out while the application
 * works on the last.
 */
export class Fetcher {
  readonly #cluster: Cluster;
  readonly #options: ResolvedConsumerOptions;
  readonly #readers: readonly PartitionReader[];
  readonly #callbacks: FetcherCallbacks;
  readonly #signal: AbortSignal;
  readonly #busyNodes = new Set<number>();
  #locating = false;
  #failures = 0;
  /** Which reader comes first in the next request, so that none starves behind a busy one. */
  #rotation = 0;

  constructor(
    cluster: Cluster,
    options: ResolvedConsumerOptions,
    readers: readonly PartitionReader[],
    signal: AbortSignal,
    callbacks: FetcherCallbacks,
  ) {
    this.#cluster = cluster;
    this.#options = options;
    this.#readers = readers;
    this.#signal = signal;
    this.#callbacks = callbacks;
  }

  /** True when every partition was read to where the broker had nothing more. */
  get atEnd(): boolean {
    return this.#readers.every((reader) => reader.atEnd);
  }

  /** Starts what fetches are due. */
  turn(): void {
    if (this.#signal.aborted || !this.#callbacks.wantsMore()) return;
    for (const [node, fetch] of this.#plan()) {
      this.#busyNodes.add(node);
      this.#fetch(fetch)
        .catch((error: unknown) => this.#onFetchFailed(error))
        .finally(() => {
          this.#busyNodes.delete(node);
          this.turn();
        })
        .catch(ignore);
    }
  }

  #plan(): Map<number, NodeFetch> {
    const plan = new Map<number, NodeFetch>();
    const count = this.#readers.length;
    this.#rotation = (this.#rotation + 1) % count;
    for (let index = 0; index < count; index += 1) {
      const reader = this.#readers[(index + this.#rotation) % count];
      if (reader === undefined || reader.atEnd || reader.resetting) continue;
      const route = this.#cluster.peek(reader.topic);
      const leader = route?.partitions[reader.partition]?.leader ?? -1;
      const address = this.#cluster.addressOf(leader);
      if (route?.topicId !== reader.topicId || address === undefined) {
        this.#locate();
        continue;
      }
      if (this.#busyNodes.has(leader)) continue;
      const fetch = plan.get(leader) ?? { address, readers: [] };
      fetch.readers.push(reader);
      plan.set(leader, fetch);
    }
    return plan;
  }

  async #fetch({ address, readers }: NodeFetch): Promise<void> {
    const { maxBytes, minBytes, exitAtEnd } = this.#options;
    // At the end the answer shall say so at once instead of waiting for more.
    const maxWaitMs = exitAtEnd ? 0 : this.#options.maxWaitMs;
    const connection = await this.#cluster.pool.get('fetch', address, this.#signal);
    const entries = readers.map(({ topicId, partition, fetchOffset: offset }) => ({
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
    let position = 0;
    let firstError: MillraceError | undefined;
    for (const [index, reader] of readers.entries()) {
      const row = response.entries[index] as FetchResult;
      const end = position + row.byteLength;
      if (row.errorCode !== 0) firstError ??= this.#onRowError(reader, row, broker);
      else if (row.byteLength > 0) {
        this.#callbacks.onBatches(reader.cut(bytes.subarray(position, end), row.highWatermark));
      } else if (exitAtEnd) {
        // Empty for want of room in the response is not the end; offsets alone do not tell, for
        // the last of them may be a gap that recovery left.
        reader.atEnd = row.highWatermark <= reader.fetchOffset || bytes.length === 0;
      }
      position = end;
    }
    this.#callbacks.onProgress();
    if (firstError !== undefined) throw firstError;
    const hot = bytes.length === 0 && performance.now() - startedMs < EMPTY_FETCH_PAUSE_MS;
    if (hot && !exitAtEnd) await sleep(EMPTY_FETCH_PAUSE_MS, this.#signal);
  }

  /** Gives an error that makes all wait; deals with the others. */
  #onRowError(
    reader: PartitionReader,
    row: FetchResult,
    broker: string,
  ): MillraceError | undefined {
    const { topic, partition } = reader;
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
    await this.#backOff('fetch', error);
  }

  async #backOff(action: string, error: MillraceError): Promise<void> {
    this.#failures += 1;
    const delayMs = backoffMs(this.#cluster.retryBackoff, this.#failures);
    this.#cluster.onEvent({ type: 'retry', action, attempt: this.#failures, delayMs, error });
    await sleep(delayMs, this.#signal);
  }

  #reset(reader: PartitionReader): void {
    reader.resetting = true;
    const limits = { signal: this.#signal, retryForMs: Infinity };
    resetOffset(this.#cluster, reader, this.#options.onOutOfRange, limits)
      .then(() => {
        reader.resetting = false;
        this.turn();
      })
      .catch((error: unknown) => {
        if (!this.#signal.aborted) this.#callbacks.onFailed(error);
      });
  }

  /** Looks up where the partitions are now. */
  #locate(): void {
    if (this.#locating) return;
    this.#locating = true;
    this.#locateAll()
      .catch((error: unknown) => {
        if (!this.#signal.aborted) this.#callbacks.onFailed(error);
      })
      .finally(() => {
        this.#locating = false;
        this.turn();
      })
      .catch(ignore);
  }

  async #locateAll(): Promise<void> {
    const names = new Set(this.#readers.filter(({ atEnd }) => !atEnd).map(({ topic }) => topic));
    for (const name of names) {
      const limits = { signal: this.#signal, retryForMs: Infinity };
      let route: TopicRoute;
      try {
        route = await this.#cluster.topicWithRetry(name, limits);
      } catch (error) {
        throw error instanceof UnknownTopicError ? deleted(name, error) : error;
      }
      for (const reader of this.#readers) {
        if (reader.topic !== name) continue;
        if (reader.topicId !== route.topicId) throw recreated(reader, route);
        if ((route.partitions[reader.partition]?.leader ?? -1) >= 0) continue;
        this.#cluster.forget(name);
        const where = partitionName(name, reader.partition);
        await this.#backOff('fetch', new ConnectionError(`${where} has no leader`, {}));
      }
    }
  }
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

function deleted(topic: string, cause: Error): UnknownTopicError {
  return new UnknownTopicError(`The topic ${quoted(topic)} was deleted while it was read`, {
    topic,
    cause,
  });
}

function recreated(reader: PartitionReader, route: TopicRoute): TopicRecreatedError {
  const { topic, topicId, partition, fetchOffset } = reader;
  return new TopicRecreatedError(
    `The topic ${quoted(topic)} was deleted and made again while it was read (id ` +
      `${topicId} then, ${route.topicId} now): offset ${fetchOffset} means nothing there. Start a new consumer`,
    { topic, partition },
  );
}
