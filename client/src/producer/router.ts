import type { Cluster } from '../cluster.js';
import { ConnectionError, UnknownTopicError, type MillraceError } from '../errors.js';
import { noSuchPartition } from '../missing.js';
import type { Connection } from '../net/connection.js';
import type { BackoffOptions } from '../util/backoff.js';
import { RetryingTasks } from '../util/retrying-tasks.js';
import { partitionName } from '../util/text.js';
import { IdentitySource, type ProducerIdentity } from './identity.js';
import type { PartitionQueue } from './partition-queue.js';
import type { TopicQueues } from './topic-queues.js';

/** What the router tells the sender. */
export interface RouterCallbacks {
  /** Something that was missing is there, or may be asked for again. */
  readonly onReady: () => void;
  /** The topic was looked up. */
  readonly onResolved: (topic: TopicQueues) => void;
  /** Nothing can be sent to the topic (undefined: to any), and waiting will not help. */
  readonly onFatal: (topic: TopicQueues | undefined, error: MillraceError) => void;
  /** The topic no longer has the partition. */
  readonly onPartitionGone: (queue: PartitionQueue, error: MillraceError) => void;
}

/**
 * Gets for a queue what it needs before it can send: topic, leader, connection, producer id. Each
 * question is answered at once when the answer is known; else it is looked into in the
 * background, and asked again when {@link RouterCallbacks.onReady} says so.
 */
export class Router {
  readonly #cluster: Cluster;
  readonly #callbacks: RouterCallbacks;
  readonly #identity: IdentitySource;
  readonly #tasks: RetryingTasks;

  constructor(
    cluster: Cluster,
    backoff: BackoffOptions,
    signal: AbortSignal,
    callbacks: RouterCallbacks,
  ) {
    this.#cluster = cluster;
    this.#callbacks = callbacks;
    this.#identity = new IdentitySource(cluster);
    this.#tasks = new RetryingTasks(backoff, signal);
  }

  get identity(): ProducerIdentity | undefined {
    return this.#identity.current;
  }

  /** Whether the queue has a producer id to send under; asks for one when it has not. */
  hasIdentity(queue: PartitionQueue): boolean {
    const stale = queue.staleIdentity;
    const { current } = this.#identity;
    if (current !== undefined && stale === undefined) return true;
    if (current !== undefined && stale !== undefined) {
      const newer =
        current.producerId !== stale.producerId || current.producerEpoch > stale.producerEpoch;
      if (newer) {
        queue.restart(current);
        return true;
      }
    }
    const step = (): Promise<void> =>
      stale === undefined ? this.#identity.acquire() : this.#identity.renew(stale);
    this.#run('producer id', step, (error) => {
      queue.lastError = error;
      if (!error.retriable) this.#callbacks.onFatal(undefined, error);
    });
    return false;
  }

  /** The connection to the partition's leader; sees to it when there is none yet. */
  connectionFor(topic: TopicQueues, queue: PartitionQueue): Connection | undefined {
    const route = this.#cluster.peek(topic.name);
    if (route === undefined || route.topicId !== topic.route?.topicId) {
      this.lookUp(topic);
      return undefined;
    }
    const leader = route.partitions[queue.partition]?.leader ?? -1;
    const address = this.#cluster.addressOf(leader);
    if (address === undefined) {
      if (queue.partition >= route.partitions.length) {
        const error = noSuchPartition(topic.name, queue.partition, route.partitions.length);
        this.#callbacks.onPartitionGone(queue, error);
      } else {
        this.#cluster.forget(topic.name);
        queue.lastError = new ConnectionError(
          `${partitionName(topic.name, queue.partition)} has no leader at present`,
          { topic: topic.name, partition: queue.partition },
        );
        this.lookUp(topic);
      }
      return undefined;
    }
    const connection = this.#cluster.pool.peek('produce', address);
    if (connection !== undefined) return connection;
    const key = `connect ${address.host} ${address.port}`;
    const step = (): Promise<unknown> => this.#cluster.pool.get('produce', address);
    this.#run(key, step, (error) => {
      queue.lastError = error;
      this.#cluster.forget(topic.name);
      if (!error.retriable) this.#callbacks.onFatal(topic, error);
    });
    return undefined;
  }

  /** Looks the topic up, in the background. */
  lookUp(topic: TopicQueues): void {
    const step = async (): Promise<void> => {
      topic.update(await this.#cluster.topic(topic.name));
      this.#callbacks.onResolved(topic);
    };
    this.#run(`topic ${topic.name}`, step, (error, delayMs) => {
      topic.lastError = error;
      if (error instanceof UnknownTopicError) {
        topic.refuse(error, performance.now() + delayMs, this.#cluster.createdTopics);
      }
      if (!error.retriable) this.#callbacks.onFatal(topic, error);
    });
  }

  #run(
    key: string,
    step: () => Promise<unknown>,
    onFailed: (error: MillraceError, delayMs: number) => void,
  ): void {
    this.#tasks.run(key, step, onFailed, this.#callbacks.onReady);
  }
}
