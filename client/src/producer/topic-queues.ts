import type { TopicRoute } from '../cluster.js';
import { UnknownTopicError, type MillraceError } from '../errors.js';
import { noSuchPartition } from '../missing.js';
import type { Delivery } from './batch.js';
import type { CheckedMessage } from './message.js';
import type { ProducerIdentity } from './identity.js';
import { choosePartition, StickyPartition, type Partitioner } from './partitioner.js';
import { PartitionQueue, type QueueContext } from './partition-queue.js';

/** A message that waits for the topic to be looked up. */
export interface Unresolved {
  readonly message: CheckedMessage;
  readonly delivery: Delivery | undefined;
  /** Bytes charged for it. */
  readonly bytes: number;
  /** When delivery is given up (`performance.now()`). */
  readonly deadlineMs: number;
}

/** That a topic does not exist, and for how long that is taken for granted. */
interface Verdict {
  readonly error: UnknownTopicError;
  /** No new look-up before this (`performance.now()`). */
  readonly untilMs: number;
  /** Topics that the client had created by then: it may be the one that creates this. */
  readonly createdTopics: number;
}

/** What a producer holds of one topic. */
export class TopicQueues {
  readonly name: string;
  readonly sticky = new StickyPartition();
  /** Undefined until the topic was looked up for the first time. */
  route: TopicRoute | undefined;
  readonly unresolved: Unresolved[] = [];
  /** Why the last look-up failed. */
  lastError: MillraceError | undefined;
  /** That the topic does not exist, as the last look-up said. */
  #verdict: Verdict | undefined;
  readonly #queues: PartitionQueue[] = [];
  readonly #context: QueueContext;
  readonly #partitioner: Partitioner | undefined;

  constructor(name: string, context: QueueContext, partitioner: Partitioner | undefined) {
    this.name = name;
    this.#context = context;
    this.#partitioner = partitioner;
  }

  get queues(): readonly PartitionQueue[] {
    return this.#queues;
  }

  /**
   * The queue of the partition that the message belongs to.
   *
   * @throws UnknownTopicError for a partition that the topic does not have; what a custom
   *   partitioner throws.
   */
  queueFor(route: TopicRoute, message: CheckedMessage): PartitionQueue {
    const partitionCount = route.partitions.length;
    const { key, value } = message;
    const partition =
      message.partition ??
      choosePartition(this.#partitioner, this.sticky, {
        topic: this.name,
        key,
        value,
        partitionCount,
      });
    if (partition >= partitionCount || partition < 0 || !Number.isInteger(partition)) {
      throw noSuchPartition(this.name, partition, partitionCount);
    }
    let queue = this.#queues[partition];
    if (queue === undefined) {
      queue = new PartitionQueue(this.name, partition, route.topicId, this.#context);
      for (let index = this.#queues.length; index < partition; index += 1) {
        this.#queues.push(new PartitionQueue(this.name, index, route.topicId, this.#context));
      }
      this.#queues[partition] = queue;
    }
    return queue;
  }

  /** The next keyless message goes to another partition. */
  advanceSticky(partition: number): void {
    if (this.route !== undefined) this.sticky.advance(partition, this.route.partitions.length);
  }

  /**
   * Takes a fresh look-up. Queues of a topic that was made anew start their sequences over, each
   * once nothing of it is under way.
   */
  update(route: TopicRoute): void {
    this.route = route;
    this.lastError = undefined;
    this.#verdict = undefined;
  }

  /** The topic does not exist: {@link assertThere} says so until then. */
  refuse(error: UnknownTopicError, untilMs: number, createdTopics: number): void {
    this.#verdict = { error, untilMs, createdTopics };
  }

  /**
   * Refuses messages of a topic that was found missing a moment ago: each would wait until it may
   * be looked up again, only to fail then.
   *
   * @param createdTopics how many topics the client has created
   * @throws UnknownTopicError
   */
  assertThere(createdTopics: number): void {
    const verdict = this.#verdict;
    if (verdict === undefined) return;
    if (verdict.createdTopics === createdTopics && performance.now() < verdict.untilMs) {
      const { message, broker } = verdict.error;
      throw new UnknownTopicError(message, { topic: this.name, broker });
    }
    this.#verdict = undefined;
  }

  /** False when the queue has to wait for answers that concern the topic's former self. */
  adopt(queue: PartitionQueue, identity: ProducerIdentity | undefined): boolean {
    if (this.route === undefined || queue.topicId === this.route.topicId) return true;
    if (queue.inFlight.length > 0) return false;
    queue.topicId = this.route.topicId;
    queue.restart(identity);
    return true;
  }
}
