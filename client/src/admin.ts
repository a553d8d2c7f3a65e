import {
  BEGINNING_TIMESTAMP,
  createTopicsApi,
  deleteTopicsApi,
  describeTopicsApi,
  END_TIMESTAMP,
  ProtocolError,
  type Api,
  type CreateTopicsRequest,
} from '@millrace/protocol';
import type { Answer, Cluster } from './cluster.js';
import { BrokerError, InvalidArgumentError, toMillraceError } from './errors.js';
import { noSuchTopic } from './missing.js';
import { listOffsets } from './offsets.js';
import type {
  CreatedTopic,
  OffsetAt,
  PartitionOffset,
  PartitionOffsets,
  TopicDescription,
  TopicListing,
  TopicSpec,
} from './admin-types.js';
import type { SignalOption } from './options.js';
import { checkKeys, type KeysOf } from './util/known-keys.js';
import { quoted, shortened } from './util/text.js';

/** Rows of a createTopics or describeTopics request. */
const MAX_TOPICS_PER_REQUEST = 1_000;
/** No topic has a longer name, in UTF-16 units. */
const MAX_TOPIC_NAME_LENGTH = 249;

/**
 * Creates, deletes and describes topics. Retriable failures are retried within the client's
 * `requestTimeoutMs`; every method throws BrokerError, ConnectionError and their like, and the
 * signal's reason.
 */
export class Admin {
  readonly #cluster: Cluster;

  /** Made by the client. */
  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * Creates a topic; when it returns the topic can be used. With `ifNotExists`, one that exists
   * already does as well, whatever its partitions and configuration are.
   *
   * @throws InvalidArgumentError for a field that no topic has; BrokerError with code
   *   TOPIC_ALREADY_EXISTS, INVALID_TOPIC, INVALID_PARTITIONS, INVALID_CONFIG or LIMIT_EXCEEDED.
   */
  async createTopic(spec: TopicSpec, options: SignalOption = {}): Promise<CreatedTopic> {
    const [created] = await this.createTopics([spec], options);
    if (created === undefined) throw new InvalidArgumentError('The broker answered nothing');
    return created;
  }

  /**
   * Creates topics, each on its own.
   *
   * @throws the error of the one that failed, or an AggregateError with those of several; the
   *   others were created.
   */
  async createTopics(
    specs: readonly TopicSpec[],
    { signal }: SignalOption = {},
  ): Promise<CreatedTopic[]> {
    for (const spec of specs) checkKeys('topic field', spec, specKeys);
    const created: CreatedTopic[] = [];
    const errors: unknown[] = [];
    for (const chunk of chunksOf(specs)) {
      const request = { topics: chunk.map(toRow), timeoutMs: this.#cluster.requestTimeoutMs };
      const { response, repeated, broker } = await this.#change(createTopicsApi, request, signal);
      for (const [index, row] of response.topics.entries()) {
        const { errorCode, errorMessage, name: topic, topicId, partitions } = row;
        const error = ProtocolError.fromCode(errorCode, errorMessage);
        const existed = chunk[index]?.ifNotExists === true;
        this.#cluster.created(topic);
        if (errorCode === 0) created.push({ name: topic, topicId, partitions, existed: false });
        else if ((repeated || existed) && error.errorName === 'TOPIC_ALREADY_EXISTS') {
          // Without ifNotExists, the answer to a first try was lost, and that try created it.
          const route = await this.#cluster.topicWithRetry(topic, { signal });
          const partitionCount = route.partitions.length;
          created.push({
            name: topic,
            topicId: route.topicId,
            partitions: partitionCount,
            existed,
          });
        } else {
          errors.push(refusal('create', topic, error, broker));
        }
      }
    }
    throwAll(errors, 'Some topics were not created');
    return created;
  }

  /**
   * Deletes a topic and everything in it.
   *
   * @throws UnknownTopicError when there is none.
   */
  async deleteTopic(name: string, { signal }: SignalOption = {}): Promise<void> {
    const request = { names: [name], timeoutMs: this.#cluster.requestTimeoutMs };
    const { response, repeated, broker } = await this.#change(deleteTopicsApi, request, signal);
    this.#cluster.forget(name);
    const [row] = response.topics;
    if (row === undefined || row.errorCode === 0) return;
    const error = ProtocolError.fromCode(row.errorCode, row.errorMessage);
    if (error.errorName !== 'UNKNOWN_TOPIC_OR_PARTITION') {
      throw refusal('delete', name, error, broker);
    }
    if (!repeated) throw noSuchTopic(name, broker);
  }

  /** A request that changes something, and whether an earlier try may have done it already. */
  async #change<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    signal: AbortSignal | undefined,
  ): Promise<Answer<Response> & { readonly repeated: boolean }> {
    let attempts = 0;
    const answer = await this.#cluster.retry(api.name, { signal }, () => {
      attempts += 1;
      return this.#cluster.askOnce(api, request);
    });
    return { ...answer, repeated: attempts > 1 };
  }

  /** All topics, ordered by name. */
  async listTopics({ signal }: SignalOption = {}): Promise<TopicListing[]> {
    const routes = await this.#cluster.allTopics({ signal });
    return routes
      .map(({ name, topicId, partitions }) => ({ name, topicId, partitions: partitions.length }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @throws UnknownTopicError when there is none. */
  async describeTopic(name: string, options: SignalOption = {}): Promise<TopicDescription> {
    const [description] = await this.describeTopics([name], options);
    if (description === undefined) throw noSuchTopic(name);
    return description;
  }

  /**
   * Topics with their configuration and partitions, in the order of the names.
   *
   * @throws UnknownTopicError for the first that there is none of.
   */
  async describeTopics(
    names: readonly string[],
    { signal }: SignalOption = {},
  ): Promise<TopicDescription[]> {
    const descriptions: TopicDescription[] = [];
    for (const chunk of chunksOf(names)) {
      const request = { names: chunk };
      const { response, broker } = await this.#cluster.ask(describeTopicsApi, request, { signal });
      for (const {
        errorCode,
        errorMessage,
        name,
        topicId,
        config,
        partitions,
      } of response.topics) {
        const error = ProtocolError.fromCode(errorCode, errorMessage);
        if (error.errorName === 'UNKNOWN_TOPIC_OR_PARTITION') throw noSuchTopic(name, broker);
        if (errorCode !== 0) {
          throw refusal('describe', name, error, broker);
        }
        descriptions.push({
          name,
          topicId,
          config: config.map(([key, value, source]) => ({ key, value, source })),
          partitions,
        });
      }
    }
    return descriptions;
  }

  /**
   * One offset of each partition: the beginning, the end, or the first message at or after a
   * time.
   *
   * @throws UnknownTopicError when there is no such topic.
   */
  async listOffsets(
    topic: string,
    at: OffsetAt,
    { signal }: SignalOption = {},
  ): Promise<PartitionOffset[]> {
    const timestampMs = timestampOf(at);
    const route = await this.#cluster.topicWithRetry(topic, { signal });
    const queries = route.partitions.map((_, partition) => ({ topic, partition, timestampMs }));
    const answers = await listOffsets(this.#cluster, queries, { signal });
    return answers.map(({ partition, offset, timestampMs: foundMs }) => ({
      partition,
      offset: offset < 0 ? undefined : offset,
      timestampMs: foundMs < 0 ? undefined : foundMs,
    }));
  }

  /** What each partition holds: from `beginning` to before `end`. */
  async offsets(topic: string, options: SignalOption = {}): Promise<PartitionOffsets[]> {
    const [beginnings, ends] = await Promise.all([
      this.listOffsets(topic, 'beginning', options),
      this.listOffsets(topic, 'end', options),
    ]);
    return beginnings.map(({ partition, offset = 0 }, index) => ({
      partition,
      beginning: offset,
      end: ends[index]?.offset ?? offset,
    }));
  }
}

const specKeys: KeysOf<TopicSpec> = {
  name: true,
  partitions: true,
  config: true,
  ifNotExists: true,
};

function toRow({ name, partitions = 1, config = {} }: TopicSpec): CreateTopicsRequest['topics'][0] {
  const entries = Object.entries(config).map(([key, value]) => [key, String(value)] as const);
  return { name, partitions, config: entries };
}

/** Says what was wanted of which topic, unless the broker's own words name the topic already. */
function refusal(verb: string, topic: string, error: ProtocolError, broker: string): BrokerError {
  const { message, errorName } = error;
  const named = message.includes(`"${topic}"`) || message.startsWith(`topic ${topic} `);
  if (topic.length > MAX_TOPIC_NAME_LENGTH) {
    // The broker repeats the name, and its words are cut on the way: little else would be left.
    const action = `${verb} topic ${quoted(topic)}`;
    return new BrokerError(new ProtocolError(errorName), { broker, topic, action });
  }
  if (named) {
    const words = message.replace(topic, () => shortened(topic));
    return new BrokerError(new ProtocolError(errorName, words), { broker, topic });
  }
  return new BrokerError(error, { broker, topic, action: `${verb} topic ${quoted(topic)}` });
}

function timestampOf(at: OffsetAt): number {
  if (at === 'beginning') return BEGINNING_TIMESTAMP;
  if (at === 'end') return END_TIMESTAMP;
  const timestampMs = at instanceof Date ? at.getTime() : at.timestampMs;
  if (Number.isSafeInteger(timestampMs) && timestampMs >= 0) return timestampMs;
  throw new InvalidArgumentError(`${String(timestampMs)} is not Unix time in whole milliseconds`);
}

function* chunksOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += MAX_TOPICS_PER_REQUEST) {
    yield items.slice(start, start + MAX_TOPICS_PER_REQUEST);
  }
}

function throwAll(errors: readonly unknown[], message: string): void {
  if (errors.length === 1) throw toMillraceError(errors[0]);
  if (errors.length > 1) throw new AggregateError(errors, message);
}
