import { metadataApi, type Api, type MetadataResponse } from '@millrace/protocol';
import type { Answer, CallLimits, ClusterOptions } from './cluster-types.js';
import { ConnectionError, MillraceError } from './errors.js';
import type { EventListener } from './events.js';
import { noTopicToUse } from './missing.js';
import { clientDefaults } from './options.js';
import { formatAddress, type Address } from './net/address.js';
import type { Connection } from './net/connection.js';
import type { Reply } from './net/connection-types.js';
import type { ConnectionPool, Purpose } from './net/connection-pool.js';
import { halvesOf, isTooMuch, namesInParts } from './request-parts.js';
import {
  TopicRoutes,
  type PartitionRoute,
  type RouteListener,
  type TopicRoute,
} from './topic-routes.js';
import { Deferred, ignore } from './util/async.js';
import { retry } from './util/retry.js';
import type { BackoffOptions } from './util/backoff.js';
import { shortened } from './util/text.js';

export { doubtsMetadata } from './metadata-errors.js';
export type { Answer, CallLimits, ClusterOptions } from './cluster-types.js';
export type { PartitionRoute, TopicRoute } from './topic-routes.js';

/** `host:port` of a broker. */
type BrokerName = string;

/**
 * Who leads which partition, and where that node is. Asked for when needed, kept until somebody
 * finds it wrong ({@link forget}) or it is `metadataMaxAgeMs` old: an answer is never older than
 * the last error that doubted it.
 */
export class Cluster {
  readonly pool: ConnectionPool;
  readonly #options: ClusterOptions;
  readonly #topics: TopicRoutes;
  readonly #nodes = new Map<number, Address>();
  #lastGood: Address | undefined;
  #createdTopics = 0;
  #wanted = new Map<string, Deferred<TopicRoute | BrokerName>>();
  #looking = false;

  constructor(pool: ConnectionPool, options: ClusterOptions) {
    this.pool = pool;
    this.#options = options;
    this.#topics = new TopicRoutes(this.metadataMaxAgeMs, (name) => {
      this.#lookUp(name).catch(ignore);
    });
  }

  get requestTimeoutMs(): number {
    return this.#options.requestTimeoutMs;
  }

  /** After how many milliseconds what is known of topics is asked for anew. */
  get metadataMaxAgeMs(): number {
    return this.#options.metadataMaxAgeMs ?? clientDefaults.metadataMaxAgeMs;
  }

  get retryBackoff(): BackoffOptions {
    return this.#options.retryBackoff;
  }

  get onEvent(): EventListener {
    return this.#options.onEvent;
  }

  /** The topic, when it is known already; refreshed in the background when that is old. */
  peek(topic: string): TopicRoute | undefined {
    return this.#topics.peek(topic);
  }

  /** Calls back with every topic that metadata shows from now on; returns the way to stop. */
  onTopic(listener: RouteListener): () => void {
    return this.#topics.onLearned(listener);
  }

  /** Drops what is known of a topic, for it turned out to be wrong. */
  forget(topic: string): void {
    this.#topics.forget(topic);
  }

  /** A topic was created by this client. */
  created(topic: string): void {
    this.#createdTopics += 1;
    this.forget(topic);
  }

  /** How many topics this client has created: what was missing may be one of them. */
  get createdTopics(): number {
    return this.#createdTopics;
  }

  /** Where a node listens; undefined for one that metadata has not shown. */
  addressOf(node: number): Address | undefined {
    return this.#nodes.get(node);
  }

  /**
   * The topic, from the cache or by asking. One attempt; questions of the same moment share a
   * request.
   *
   * @throws UnknownTopicError when the broker has no such topic; ConnectionError and others.
   */
  async topic(name: string): Promise<TopicRoute> {
    return this.#found(name, this.#topics.fresh(name) ?? (await this.#lookUp(name)));
  }

  /** As {@link topic}, asked for in any case. */
  async refresh(name: string): Promise<TopicRoute> {
    return this.#found(name, await this.#lookUp(name));
  }

  #found(name: string, route: TopicRoute | BrokerName): TopicRoute {
    if (typeof route === 'object') return route;
    throw noTopicToUse(name, route);
  }

  /** As {@link topic}, with retriable failures retried. */
  topicWithRetry(name: string, limits: CallLimits = {}): Promise<TopicRoute> {
    return this.#retry(`metadata of ${shortened(name)}`, limits, () => this.topic(name));
  }

  /** Metadata of all topics, with retriable failures retried; refreshes the cache. */
  async allTopics(limits: CallLimits = {}): Promise<readonly TopicRoute[]> {
    const response = await this.#retry('metadata', limits, () => this.#fetchMetadata(null));
    this.#topics.clear();
    return this.#learn(response);
  }

  /**
   * Asks any broker: those known from metadata and those configured, the last that answered
   * first. Retriable failures are retried with backoff.
   *
   * @throws BrokerError, ConnectionError and others with the number of attempts in the message.
   */
  ask<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    limits: CallLimits = {},
  ): Promise<Answer<Response>> {
    return this.#retry(api.name, limits, () => this.askOnce(api, request));
  }

  /** As {@link ask}, each broker tried at most once. */
  async askOnce<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
  ): Promise<Answer<Response>> {
    const connection = await this.anyConnection();
    const { response } = await this.#request(connection, api, request);
    return { response, broker: connection.broker };
  }

  /** Asks the node that leads a partition; one attempt. */
  async askNode<Request, Response>(
    node: number,
    purpose: Purpose,
    api: Api<Request, Response>,
    request: Request,
  ): Promise<Answer<Response>> {
    const address = this.addressOf(node);
    if (address === undefined) throw new ConnectionError(`No address is known of node ${node}`, {});
    const connection = await this.pool.get(purpose, address);
    const { response } = await this.#request(connection, api, request);
    return { response, broker: connection.broker };
  }

  /** Retries a step of somebody else with this cluster's backoff. */
  retry<T>(action: string, limits: CallLimits, attempt: () => Promise<T>): Promise<T> {
    return this.#retry(action, limits, attempt);
  }

  /** An admin connection to the first broker that can be reached. */
  async anyConnection(signal?: AbortSignal): Promise<Connection> {
    const candidates = this.#candidates();
    const errors: MillraceError[] = [];
    for (const address of candidates) {
      try {
        const connection = await this.pool.get('admin', address, signal);
        this.#lastGood = address;
        return connection;
      } catch (error) {
        if (signal?.aborted === true || !(error instanceof MillraceError)) throw error;
        if (error.code === 'CLOSED') throw error;
        errors.push(error);
      }
    }
    const [first] = errors;
    if (first === undefined) throw new ConnectionError('No broker is configured', {});
    if (errors.length === 1) throw first;
    const message = errors.map((error) => error.message).join('; ');
    if (errors.some((error) => error.retriable)) {
      throw new ConnectionError(message, { cause: new AggregateError(errors) });
    }
    throw first;
  }

  #request<Request, Response>(
    connection: Connection,
    api: Api<Request, Response>,
    request: Request,
  ): Promise<Reply<Response>> {
    return connection.request(api, request, { timeoutMs: this.#options.requestTimeoutMs });
  }

  #retry<T>(action: string, limits: CallLimits, attempt: () => Promise<T>): Promise<T> {
    const { retryBackoff, onEvent, requestTimeoutMs } = this.#options;
    const retryForMs = limits.retryForMs ?? requestTimeoutMs;
    const { signal } = limits;
    return retry({ action, backoff: retryBackoff, onEvent, retryForMs, signal }, attempt);
  }

  #candidates(): readonly Address[] {
    const byName = new Map<string, Address>();
    const { brokers } = this.#options;
    const first = this.#lastGood === undefined ? [] : [this.#lastGood];
    for (const address of [...first, ...brokers, ...this.#nodes.values()]) {
      byName.set(formatAddress(address), address);
    }
    return [...byName.values()];
  }

  /**
   * Joins the requests that will be sent next; none overtakes one that is under way. Gives the
   * broker's name where that knows no such topic.
   */
  #lookUp(name: string): Promise<TopicRoute | BrokerName> {
    let waiting = this.#wanted.get(name);
    if (waiting === undefined) {
      waiting = new Deferred();
      this.#wanted.set(name, waiting);
    }
    if (!this.#looking) {
      this.#looking = true;
      queueMicrotask(() => void this.#lookUpAll());
    }
    return waiting.promise;
  }

  async #lookUpAll(): Promise<void> {
    while (this.#wanted.size > 0) {
      const batch = this.#wanted;
      this.#wanted = new Map();
      for (const names of namesInParts([...batch.keys()])) await this.#lookUpPart(batch, names);
    }
    this.#looking = false;
  }

  /** One request; two that are half as large where the broker says that it is too much. */
  async #lookUpPart(
    batch: ReadonlyMap<string, Deferred<TopicRoute | BrokerName>>,
    names: readonly string[],
  ): Promise<void> {
    try {
      const answer = await this.#fetchMetadata(names);
      this.#learn(answer);
      const broker = formatAddress(answer.dialled);
      for (const name of names) batch.get(name)?.resolve(this.#topics.get(name) ?? broker);
    } catch (error) {
      if (names.length > 1 && isTooMuch(error)) {
        for (const half of halvesOf(names)) await this.#lookUpPart(batch, half);
        return;
      }
      for (const name of names) batch.get(name)?.reject(error);
    }
  }

  async #fetchMetadata(
    topics: readonly string[] | null,
  ): Promise<{ response: MetadataResponse; dialled: Address }> {
    const connection = await this.anyConnection();
    const { response } = await this.#request(connection, metadataApi, { topics });
    return { response, dialled: connection.address };
  }

  #learn({ response, dialled }: { response: MetadataResponse; dialled: Address }): TopicRoute[] {
    for (const { nodeId, host, port } of response.nodes) {
      // An empty host means "the address that you dialled": right inside and outside a container.
      this.#nodes.set(nodeId, host === '' ? dialled : { host, port });
    }
    const routes: TopicRoute[] = [];
    for (const topic of response.topics) {
      this.#topics.forget(topic.name);
      if (topic.errorCode !== 0) continue;
      const partitions: PartitionRoute[] = [];
      for (const { partition, leader, leaderEpoch } of topic.partitions) {
        partitions[partition] = { leader, leaderEpoch };
      }
      const route = { name: topic.name, topicId: topic.topicId, partitions };
      this.#topics.learn(route);
      routes.push(route);
    }
    return routes;
  }
}
