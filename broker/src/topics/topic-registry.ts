import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isValidTopicName, ProtocolError } from '@millrace/protocol';
import { syncDirectory } from '../storage/atomic-file.js';
import { DataDirError, storageFailure } from '../storage/errors.js';
import { readJsonFile, writeJsonFile } from '../storage/json-file.js';
import type { LogEnvironment } from '../storage/log-environment.js';
import { defaultStorageConfig } from '../storage/storage-config.js';
import { openPartition } from './open-partition.js';
import { Partition } from './partition.js';
import { describeTopicConfig, resolveTopicConfig } from './topic-config.js';
import type { ConfigEntry, TopicConfig } from './topic-config.js';

const TOPIC_FILE = 'topic.json';
const TOPIC_ID = /^[0-9a-f]{32}$/;
/** A directory on its way in or out: never a topic. */
const NEW_SUFFIX = '.new';
const DELETED_SUFFIX = '.deleted';
/** Partitions opened at the same time at start-up. */
const OPEN_CONCURRENCY = 64;

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  /** Overrides of the broker's defaults, by Kafka's names. */
  readonly config: Readonly<Record<string, string>>;
}

export interface Topic {
  readonly name: string;
  /** 32 hexadecimal digits: a topic that is deleted and made again has another. */
  readonly id: string;
  readonly config: TopicConfig;
  readonly partitions: readonly Partition[];
  describeConfig(): readonly ConfigEntry[];
}

/** The broker's topics: one directory each, named by the topic's id, with a `topic.json`. */
export class TopicRegistry {
  readonly #byName = new Map<string, Topic>();
  readonly #byId = new Map<string, Topic>();
  /** Names that are being created or deleted, by the promise of that. */
  readonly #changing = new Map<string, Promise<unknown>>();
  /** Directories of deleted topics that are being removed. */
  readonly #removals = new Set<Promise<void>>();
  /** Topics that are being created: they count against the limits already. */
  readonly #creating = new Set<TopicSpec>();
  #closing = false;

  private constructor(
    private readonly directory: string,
    private readonly environment: LogEnvironment,
  ) {}

  /** Reads all topics and opens all partitions; a partition that is damaged comes up offline. */
  static async load(
    directory: string,
    cleanStop: boolean,
    environment: LogEnvironment,
  ): Promise<TopicRegistry> {
    const registry = new TopicRegistry(directory, environment);
    for (const entry of await readdir(directory)) {
      const path = join(directory, entry);
      if (TOPIC_ID.test(entry)) await registry.#load(path, entry);
      else if (entry.endsWith(NEW_SUFFIX) || entry.endsWith(DELETED_SUFFIX)) {
        await rm(path, { recursive: true, force: true });
      }
    }
    const opens = registry
      .list()
      .flatMap((topic) => topic.partitions.map((partition) => ({ topic, partition })));
    await forEachConcurrently(opens, OPEN_CONCURRENCY, ({ topic, partition }) =>
      registry.#open(topic, partition, cleanStop),
    );
    return registry;
  }

  byName(name: string): Topic | undefined {
    return this.#byName.get(name);
  }

  byId(id: string): Topic | undefined {
    return this.#byId.get(id);
  }

  /** All topics, by name. */
  list(): readonly Topic[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get partitionCount(): number {
    let count = 0;
    for (const topic of this.#byName.values()) count += topic.partitions.length;
    return count;
  }

  /**
   * Makes a topic; it is durable when this resolves.
   * @throws ProtocolError INVALID_TOPIC, INVALID_PARTITIONS, INVALID_CONFIG, TOPIC_ALREADY_EXISTS,
   *   LIMIT_EXCEEDED, DISK_FULL, STORAGE_ERROR
   */
  create(spec: TopicSpec): Promise<Topic> {
    return this.#inTurn(spec.name, async () => {
      const config = this.#check(spec);
      const id = randomBytes(16).toString('hex');
      this.#creating.add(spec);
      try {
        await this.#store(id, spec);
        const topic = this.#build(id, spec, config);
        await Promise.all(topic.partitions.map((partition) => this.#open(topic, partition, true)));
        this.#register(topic);
        return topic;
      } catch (error) {
        throw storageFailure(`create topic ${spec.name}`, error);
      } finally {
        this.#creating.delete(spec);
      }
    });
  }

  /**
   * Deletes a topic with all its data; its name is free when this resolves.
   * @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION, STORAGE_ERROR
   */
  delete(name: string): Promise<void> {
    return this.#inTurn(name, async () => {
      const topic = this.#byName.get(name);
      if (topic === undefined) throw unknownTopic(name);
      const path = join(this.directory, topic.id);
      try {
        await rename(path, `${path}${DELETED_SUFFIX}`);
      } catch (error) {
        throw storageFailure(`delete topic ${name}`, error);
      }
      this.#byName.delete(name);
      this.#byId.delete(topic.id);
      const reason = new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION', `topic ${name} was deleted`);
      await Promise.all(topic.partitions.map((partition) => partition.abandon(reason)));
      try {
        await syncDirectory(this.directory);
      } catch (error) {
        throw storageFailure(`make the deletion of topic ${name} durable`, error);
      }
      this.#remove(`${path}${DELETED_SUFFIX}`);
    });
  }

  /**
   * Closes every partition, also after one that failed; topics cannot be changed any more. Resolves to
   * true when all is synced and checkpointed, so that the next start need not recover anything.
   * @throws what the first that failed threw.
   */
  async close(): Promise<boolean> {
    this.#closing = true;
    await Promise.allSettled(this.#changing.values());
    const partitions = this.list().flatMap((topic) => topic.partitions);
    const failures: unknown[] = [];
    let inGoodOrder = true;
    await forEachConcurrently(partitions, OPEN_CONCURRENCY, async (partition) => {
      try {
        if (!(await partition.close())) inGoodOrder = false;
      } catch (error) {
        failures.push(error);
      }
    });
    await Promise.all(this.#removals);
    if (failures.length > 0) throw failures[0];
    return inGoodOrder;
  }

  async #load(path: string, id: string): Promise<void> {
    const content = await readJsonFile(join(path, TOPIC_FILE));
    const spec = decodeSpec(content);
    if (spec === undefined) {
      throw new DataDirError(
        'damaged',
        `${join(path, TOPIC_FILE)} is missing or does not describe a topic; restore it from a backup`,
      );
    }
    const other = this.#byName.get(spec.name);
    if (other !== undefined) {
      throw new DataDirError(
        'damaged',
        `${path} and ${join(this.directory, other.id)} both hold topic ${spec.name}; move the one ` +
          'that you do not want out of the data directory',
      );
    }
    this.#register(this.#build(id, spec, this.#configOf(spec, path)));
  }

  /** A stored topic's config; one that no longer fits the broker's defaults is named. */
  #configOf(spec: TopicSpec, path: string): TopicConfig {
    try {
      return resolveTopicConfig(spec.config, this.environment.config);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const message = `topic ${spec.name} (${path}) does not fit the broker's settings: ${error.message}`;
      throw new ProtocolError(error.errorName, message, { cause: error });
    }
  }

  #register(topic: Topic): void {
    this.#byName.set(topic.name, topic);
    this.#byId.set(topic.id, topic);
  }

  #build(id: string, spec: TopicSpec, config: TopicConfig): Topic {
    const { environment } = this;
    return {
      name: spec.name,
      id,
      config,
      partitions: Array.from(
        { length: spec.partitions },
        (_, index) => new Partition(spec.name, id, index, config, environment),
      ),
      describeConfig: () =>
        describeTopicConfig(config, spec.config, environment.config, defaultStorageConfig),
    };
  }

  async #open(topic: Topic, partition: Partition, cleanStop: boolean): Promise<void> {
    const directory = join(this.directory, topic.id, String(partition.index));
    await openPartition(partition, directory, cleanStop, this.environment, topic.config);
  }

  #check(spec: TopicSpec): TopicConfig {
    const { name, partitions } = spec;
    const { maxTopics, maxPartitions } = this.environment.config;
    const creating = [...this.#creating];
    const partitionsThen = creating.reduce(
      (sum, other) => sum + other.partitions,
      this.partitionCount + partitions,
    );
    if (!isValidTopicName(name)) {
      throw new ProtocolError(
        'INVALID_TOPIC',
        `"${name}" is no topic name: it takes 1 to 249 of A-Z a-z 0-9 . _ -, and not "." or ".."`,
      );
    }
    if (this.#byName.has(name)) {
      throw new ProtocolError('TOPIC_ALREADY_EXISTS', `topic ${name} exists already`);
    }
    if (!Number.isInteger(partitions) || partitions < 1 || partitions > maxPartitions) {
      throw new ProtocolError(
        'INVALID_PARTITIONS',
        `topic ${name}: ${partitions} partitions; a topic has from 1 to ${maxPartitions}`,
      );
    }
    if (this.#byName.size + creating.length >= maxTopics) {
      throw new ProtocolError('LIMIT_EXCEEDED', `this broker has its maxTopics of ${maxTopics}`);
    }
    if (partitionsThen > maxPartitions) {
      throw new ProtocolError(
        'LIMIT_EXCEEDED',
        `${partitions} more partitions would exceed this broker's maxPartitions of ${maxPartitions}`,
      );
    }
    return resolveTopicConfig(spec.config, this.environment.config);
  }

  /** A topic's directory appears whole or not at all. */
  async #store(id: string, spec: TopicSpec): Promise<void> {
    const path = join(this.directory, id);
    const temporary = `${path}${NEW_SUFFIX}`;
    try {
      await mkdir(temporary);
      await writeJsonFile(join(temporary, TOPIC_FILE), spec);
      await rename(temporary, path);
      await syncDirectory(this.directory);
    } catch (error) {
      // The new name too: a topic whose creation was refused must not be there after a restart.
      for (const leftover of [temporary, path]) {
        await rm(leftover, { recursive: true, force: true }).catch(() => undefined);
      }
      throw error;
    }
  }

  #remove(path: string): void {
    const removal = rm(path, { recursive: true, force: true })
      .catch((error: unknown) => {
        this.environment.logger.warn({ err: error, path }, 'a deleted topic is removed at restart');
      })
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** One change of a name at a time. */
  #inTurn<Result>(name: string, change: () => Promise<Result>): Promise<Result> {
    if (this.#closing) {
      return Promise.reject(new ProtocolError('SHUTTING_DOWN', 'the broker is stopping'));
    }
    const before = this.#changing.get(name) ?? Promise.resolve();
    const turn = before.catch(() => undefined).then(change);
    this.#changing.set(name, turn);
    const done = (): void => {
      if (this.#changing.get(name) === turn) this.#changing.delete(name);
    };
    turn.then(done, done);
    return turn;
  }
}

function unknownTopic(name: string): ProtocolError {
  return new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`);
}

function decodeSpec(content: unknown): TopicSpec | undefined {
  if (typeof content !== 'object' || content === null) return undefined;
  const { name, partitions, config } = content as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string' || typeof partitions !== 'number') return undefined;
  if (typeof config !== 'object' || config === null) return undefined;
  const entries = Object.entries(config);
  if (!entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
    return undefined;
  }
  return { name, partitions, config: Object.fromEntries(entries) };
}

async function forEachConcurrently<Item>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker));
}
