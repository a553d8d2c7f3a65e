import type { Cluster, TopicRoute } from '../cluster.js';
import { toMillraceError, type MillraceError } from '../errors.js';
import type { Delivery } from './batch.js';
import type { MemoryBudget } from './memory-budget.js';
import { estimateBytes, ownedCopy, type CheckedMessage } from './message.js';
import type { Partitioner } from './partitioner.js';
import type { QueueContext } from './partition-queue.js';
import { TopicQueues, type Unresolved } from './topic-queues.js';

/** Told of a message that cannot be sent. */
export type RefusalListener = (topic: string, unsent: Unresolved, error: MillraceError) => void;

/** The topics of one producer, and the messages that wait for theirs to be looked up. */
export class ProducerTopics {
  readonly #topics = new Map<string, TopicQueues>();
  readonly #context: QueueContext;
  readonly #partitioner: Partitioner | undefined;
  readonly #budget: MemoryBudget;
  readonly #onRefused: RefusalListener;
  readonly #cluster: Cluster;
  /** Woken when a topic was looked up, or could not be. */
  readonly #listeners = new Set<() => void>();

  constructor(
    context: QueueContext,
    { partitioner }: { readonly partitioner: Partitioner | undefined },
    cluster: Cluster,
    onRefused: RefusalListener,
  ) {
    this.#cluster = cluster;
    this.#context = context;
    this.#partitioner = partitioner;
    this.#budget = context.budget;
    this.#onRefused = onRefused;
  }

  /** Metadata shows a topic: partitions may have been added to it. */
  learned(route: TopicRoute): void {
    const topic = this.#topics.get(route.name);
    if (topic?.route?.topicId !== route.topicId) return;
    if (route.partitions.length > topic.route.partitions.length) topic.update(route);
  }

  /** True while messages wait for a look-up. */
  get hasUnresolved(): boolean {
    for (const topic of this.#topics.values()) if (topic.unresolved.length > 0) return true;
    return false;
  }

  get(name: string): TopicQueues {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new TopicQueues(name, this.#context, this.#partitioner);
      this.#topics.set(name, topic);
    }
    return topic;
  }

  /**
   * The topic for a new message.
   *
   * @throws UnknownTopicError when it was found missing a moment ago.
   */
  forMessage(name: string): TopicQueues {
    const topic = this.get(name);
    topic.assertThere(this.#cluster.createdTopics);
    return topic;
  }

  /**
   * Puts a message into its partition's batch, or aside until the topic is known.
   *
   * @throws UnknownTopicError for a partition that does not exist.
   */
  accept(
    topic: TopicQueues,
    message: CheckedMessage,
    delivery: Delivery | undefined,
    estimate: number,
  ): void {
    const { route, unresolved } = topic;
    if (route !== undefined && unresolved.length === 0) {
      topic.queueFor(route, message).append(message, delivery, estimate);
      return;
    }
    const deadlineMs = performance.now() + this.#context.deliveryTimeoutMs;
    this.#budget.charge(estimate);
    unresolved.push({ message: ownedCopy(message), delivery, bytes: estimate, deadlineMs });
  }

  /** The topic was looked up: what waited for that takes its place, in order. */
  resolved(topic: TopicQueues): void {
    const { route } = topic;
    if (route === undefined) return;
    let waitedBytes = 0;
    for (const waited of topic.unresolved.splice(0)) {
      const { message, delivery, bytes } = waited;
      waitedBytes += bytes;
      try {
        const estimate = estimateBytes(message.key, message.value, message.headers);
        topic.queueFor(route, message).append(message, delivery, estimate);
      } catch (error) {
        this.#onRefused(topic.name, waited, toMillraceError(error));
      }
    }
    // Only now, for it may let in messages that came later.
    this.#budget.refund(waitedBytes);
    this.wake();
  }

  /** The topic cannot be produced to. */
  failed(topic: TopicQueues, error: MillraceError): void {
    for (const waited of topic.unresolved.splice(0)) {
      this.#onRefused(topic.name, waited, error);
      this.#budget.refund(waited.bytes);
    }
    this.wake();
  }

  /** Calls back once, when a look-up has ended; returns the way to stop. */
  onceResolved(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  wake(): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }

  /** Finishes open batches, and resolves when all batches of this moment are settled. */
  async settled(): Promise<void> {
    const all: Promise<void>[] = [];
    for (const topic of this.#topics.values()) {
      for (const queue of topic.queues) {
        queue.seal();
        for (const batch of [...queue.inFlight, ...queue.waiting]) {
          all.push(new Promise((resolve) => batch.onSettled.push(resolve)));
        }
      }
    }
    await Promise.all(all);
  }
}
