import type { Cluster, TopicRoute } from '../cluster.js';
import {
  ConnectionError,
  TopicRecreatedError,
  UnknownTopicError,
  type MillraceError,
} from '../errors.js';
import { ignore, sleep } from '../util/async.js';
import { backoffMs } from '../util/backoff.js';
import { quoted } from '../util/text.js';
import type { PartitionReader } from './partition-reader.js';

/** Told of readers whose topic is gone. */
export type TopicGoneListener = (readers: readonly PartitionReader[], error: MillraceError) => void;

/** Finds out where partitions are now, after something showed that they are not where they were. */
export class PartitionLocator {
  readonly #cluster: Cluster;
  readonly #readers: ReadonlySet<PartitionReader>;
  readonly #signal: AbortSignal;
  readonly #onTopicGone: TopicGoneListener;
  #failures = 0;

  constructor(
    cluster: Cluster,
    readers: ReadonlySet<PartitionReader>,
    signal: AbortSignal,
    onTopicGone: TopicGoneListener,
  ) {
    this.#cluster = cluster;
    this.#readers = readers;
    this.#signal = signal;
    this.#onTopicGone = onTopicGone;
  }

  /** @throws the signal's reason and errors that are final. */
  async locate(): Promise<void> {
    const names = new Set<string>();
    for (const { atEnd, gone, topic } of this.#readers) if (!atEnd && !gone) names.add(topic);
    let leaderless: string | undefined;
    for (const name of names) {
      try {
        const limits = { signal: this.#signal, retryForMs: Infinity };
        const route = await this.#cluster.topicWithRetry(name, limits);
        leaderless = this.#check(route) ?? leaderless;
      } catch (error) {
        if (!(error instanceof UnknownTopicError)) throw error;
        this.#onTopicGone(this.#readersOf(name), deleted(name, error));
      }
    }
    await this.#waitForLeader(leaderless);
  }

  /** @returns the topic, when one of its partitions has no leader. */
  #check(route: TopicRoute): string | undefined {
    const { name, topicId, partitions } = route;
    const readers = this.#readersOf(name);
    const gone = readers.filter((reader) => reader.topicId !== topicId);
    const [first] = gone;
    if (first !== undefined) this.#onTopicGone(gone, recreated(first, route));
    const leaderless = readers.some(
      (reader) => !reader.gone && (partitions[reader.partition]?.leader ?? -1) < 0,
    );
    return leaderless ? name : undefined;
  }

  /** What is known of the topic stays meanwhile, so that its other partitions are read. */
  async #waitForLeader(topic: string | undefined): Promise<void> {
    if (topic === undefined) {
      this.#failures = 0;
      return;
    }
    this.#failures += 1;
    const error = new ConnectionError(`A partition of ${quoted(topic)} has no leader`, { topic });
    await pauseBeforeRetry(this.#cluster, 'fetch', this.#failures, error, this.#signal);
    await this.#cluster.refresh(topic).catch(ignore);
  }

  #readersOf(topic: string): PartitionReader[] {
    return [...this.#readers].filter((reader) => reader.topic === topic);
  }
}

/** Waits as long as it takes after so many failures in a row, and tells of it. */
export function pauseBeforeRetry(
  { retryBackoff, onEvent }: Cluster,
  action: string,
  failures: number,
  error: MillraceError,
  signal: AbortSignal,
): Promise<void> {
  const delayMs = backoffMs(retryBackoff, failures);
  onEvent({ type: 'retry', action, attempt: failures, delayMs, error });
  return sleep(delayMs, signal);
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
