import type { CallLimits, Cluster, TopicRoute } from '../cluster.js';
import { UnknownTopicError } from '../errors.js';
import { shortened } from '../util/text.js';
import { compareText } from './assignors/members.js';
import type { NamedPartition } from './assignors/index.js';
import { byTopic } from './partitions.js';
import type { TopicPartition } from './types.js';

/** Topics of the broker itself begin with this; a pattern does not mean them. */
const INTERNAL_PREFIX = '__';

/** Which topics a member wants, and what is known of topics. */
export class Subscription {
  readonly #cluster: Cluster;
  readonly #wanted: readonly string[] | RegExp;
  #topics: readonly string[] = [];

  constructor(cluster: Cluster, wanted: readonly string[] | RegExp) {
    this.#cluster = cluster;
    this.#wanted = wanted;
  }

  /** By name; what a pattern matches is as of the last {@link refresh}. */
  get topics(): readonly string[] {
    return this.#topics;
  }

  /**
   * Asks the broker which topics there are.
   *
   * @returns the topics of a list that are not there.
   */
  async refresh(limits: CallLimits): Promise<readonly UnknownTopicError[]> {
    if (!(this.#wanted instanceof RegExp)) {
      this.#topics = this.#wanted;
      return (await lookUp(this.#cluster, this.#wanted, limits)).missing;
    }
    const pattern = this.#wanted;
    const all = await this.#cluster.allTopics(limits);
    this.#topics = all
      .map(({ name }) => name)
      .filter((name) => !name.startsWith(INTERNAL_PREFIX) && pattern.test(name))
      .sort(compareText);
    return [];
  }
}

/** Whether two lists of a subscription name the same topics; both are in order. */
export function sameTopics(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((topic, index) => topic === b[index]));
}

/** Topics as the broker has them now, and those that it does not have. */
export async function lookUp(
  cluster: Cluster,
  names: Iterable<string>,
  limits: CallLimits,
): Promise<{ routes: Map<string, TopicRoute>; missing: UnknownTopicError[] }> {
  const routes = new Map<string, TopicRoute>();
  const missing: UnknownTopicError[] = [];
  await Promise.all(
    [...new Set(names)].map(async (name) => {
      const action = `metadata of ${shortened(name)}`;
      try {
        routes.set(name, await cluster.retry(action, limits, () => cluster.refresh(name)));
      } catch (error) {
        if (!(error instanceof UnknownTopicError)) throw error;
        missing.push(error);
      }
    }),
  );
  return { routes, missing };
}

/** The assigned partitions with their topics' ids; without those that do not exist (any more). */
export async function withTopicIds(
  cluster: Cluster,
  assigned: readonly NamedPartition[],
  limits: CallLimits,
): Promise<TopicPartition[]> {
  const known = new Map<string, TopicRoute>();
  const doubtful: string[] = [];
  for (const { topic, partitions } of byTopic(assigned)) {
    const route = cluster.peek(topic);
    if (partitions.every((partition) => route?.partitions[partition] !== undefined)) {
      if (route !== undefined) known.set(topic, route);
    } else doubtful.push(topic);
  }
  // Not read from the cache afterwards: others may forget topics meanwhile.
  const { routes } = await lookUp(cluster, doubtful, limits);
  return assigned.flatMap(({ topic, partition }) => {
    const route = known.get(topic) ?? routes.get(topic);
    if (route?.partitions[partition] === undefined) return [];
    return [{ topic, topicId: route.topicId, partition }];
  });
}
