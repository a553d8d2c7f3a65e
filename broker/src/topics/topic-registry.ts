import { randomBytes } from 'node:crypto';
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isValidTopicName, ProtocolError } from '@millrace/protocol';
import { syncDirectory } from '../storage/atomic-file.js';
import { DataDirError, storageFailure } from '../storage/errors.js';
import type { LogEnvironment } from '../storage/log-environment.js';
import { forEachConcurrently } from './concurrently.js';
import { DirectoryRemovals, removeLeftovers } from './directory-removals.js';
import { NameTurns } from './name-turns.js';
import { openPartition } from './open-partition.js';
import type { Partition } from './partition.js';
import { changeOverrides, resolveTopicConfig } from './topic-config.js';
import type { ConfigChange, TopicConfig } from './topic-config.js';
import {
  loadOrReport,
  NEW_SUFFIX,
  storeNewTopic,
  storeTopicChange,
  undoRename,
} from './topic-file.js';
import type { TopicSpec } from './topic-file.js';
import { TopicLimits } from './topic-limits.js';
import { loadTopic, OpenTopic } from './topic.js';
import type { Topic } from './topic.js';

export type { Topic } from './topic.js';
export type { TopicSpec } from './topic-file.js';

export const TOPIC_ID = /^[0-9a-f]{32}$/;
/** A directory on its way out: never a topic. */
export const DELETED_SUFFIX = '.deleted';
/** Partitions opened at the same time at start-up. */
const OPEN_CONCURRENCY = 64;

export interface CreateOptions {
  /** A topic of the broker itself: it is made whatever limits there are on topics. */
  readonly internal?: boolean;
}

/** The broker's topics: one directory each, named by the topic's id, with a `topic.json`. */
export class TopicRegistry {
  readonly #byName = new Map<string, OpenTopic>();
  readonly #byId = new Map<string, OpenTopic>();
  /** All of them by name, until one comes or goes. */
  #list: readonly OpenTopic[] | undefined;
  readonly #turns = new NameTurns();
  readonly #removals: DirectoryRemovals;
  readonly #limits: TopicLimits;
  #unreadable = 0;
  readonly #deletedListeners = new Set<(topicId: string) => void>();

  private constructor(
    private readonly directory: string,
    private readonly environment: LogEnvironment,
  ) {
    this.#removals = new DirectoryRemovals(environment);
    this.#limits = new TopicLimits(environment.config, () => ({
      topics: this.#byName.size,
      partitions: this.partitionCount,
    }));
  }

  /** Reads all topics and opens all partitions; a partition that is damaged comes up offline. */
  static async load(
    directory: string,
    cleanStop: boolean,
    environment: LogEnvironment,
  ): Promise<TopicRegistry> {
    const registry = new TopicRegistry(directory, environment);
    const entries = await readdir(directory);
    await removeLeftovers(directory, entries.filter(isLeftover));
    for (const entry of entries) {
      if (TOPIC_ID.test(entry)) await registry.#load(join(directory, entry), entry);
    }
    const opens = registry
      .list()
      .flatMap((topic) => topic.partitions.map((partition) => ({ topic, partition })));
    await forEachConcurrently(opens, OPEN_CONCURRENCY, async ({ topic, partition }) => {
      // One that does not fit the broker's settings was refused.
      if (partition.problem === undefined) await registry.#open(topic, partition, cleanStop);
    });
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
    this.#list ??= [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return this.#list;
  }

  /** Topics that are left out, for nothing tells what they are. */
  get unreadableTopics(): number {
    return this.#unreadable;
  }

  get partitionCount(): number {
    return this.list().reduce((sum, { partitions }) => sum + partitions.length, 0);
  }

  /**
   * Makes a topic; it is durable when this resolves.
   * @throws ProtocolError INVALID_TOPIC, INVALID_PARTITIONS, INVALID_CONFIG, TOPIC_ALREADY_EXISTS,
   *   LIMIT_EXCEEDED, DISK_FULL, STORAGE_ERROR
   */
  create(spec: TopicSpec, options: CreateOptions = {}): Promise<Topic> {
    return this.#turns.take(spec.name, async () => {
      const { partitions } = spec;
      this.#checkNew(spec);
      const reserved = options.internal === true ? undefined : { topics: 1, partitions };
      const release = reserved && this.#limits.reserve(reserved);
      try {
        const config = resolveTopicConfig(spec.config, this.environment.config);
        const id = randomBytes(16).toString('hex');
        const topic = new OpenTopic(id, spec, config, this.environment);
        await storeNewTopic(join(this.directory, topic.id), spec);
        await this.#openNew(topic, topic.partitions);
        this.#register(topic);
        return topic;
      } catch (error) {
        throw storageFailure(`create topic ${spec.name}`, error);
      } finally {
        release?.();
      }
    });
  }

  /**
   * Deletes a topic with all its data; its name is free when this resolves.
   * @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION, STORAGE_ERROR
   */
  delete(name: string): Promise<void> {
    return this.#turns.take(name, async () => {
      const topic = this.#known(name);
      const path = join(this.directory, topic.id);
      const notDurable = (error: unknown): ProtocolError =>
        storageFailure(`make the deletion of topic ${name} durable`, error);
      let failure: ProtocolError | undefined;
      try {
        await rename(path, `${path}${DELETED_SUFFIX}`);
      } catch (error) {
        failure = notDurable(error);
        // It may be renamed all the same: a topic that is still used would go at the next start.
        if (await undoRename(path, `${path}${DELETED_SUFFIX}`))
          throw storageFailure(`delete topic ${name}`, error);
      }
      this.#byName.delete(name);
      this.#byId.delete(topic.id);
      this.#list = undefined;
      for (const listener of this.#deletedListeners) listener(topic.id);
      const reason = new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION', `topic ${name} was deleted`);
      await Promise.all(topic.partitions.map((partition) => partition.abandon(reason)));
      if (failure !== undefined) throw failure;
      try {
        await syncDirectory(this.directory);
      } catch (error) {
        throw notDurable(error);
      }
      this.#removals.begin(`${path}${DELETED_SUFFIX}`);
    });
  }

  /**
   * Calls `listener` with the id of each topic that is deleted, once nobody finds it any more. It must not
   * throw. Returns the way to stop.
   */
  onDeleted(listener: (topicId: string) => void): () => void {
    this.#deletedListeners.add(listener);
    return () => this.#deletedListeners.delete(listener);
  }

  /**
   * Changes a topic's config: durable when this resolves, and in force from each partition's next append,
   * roll or check on. All changes are made or none.
   * @param validateOnly only says whether it could be done.
   * @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION, INVALID_CONFIG, DISK_FULL, STORAGE_ERROR
   */
  alterConfig(
    name: string,
    changes: readonly ConfigChange[],
    validateOnly = false,
  ): Promise<TopicConfig> {
    return this.#turns.take(name, async () => {
      const topic = this.#known(name);
      const spec = { ...topic.spec, config: changeOverrides(topic.spec.config, changes) };
      const config = resolveTopicConfig(spec.config, this.environment.config);
      if (validateOnly) return config;
      await this.#storeChange(topic, spec, `alter the config of topic ${name}`);
      topic.configure(spec, config);
      return config;
    });
  }

  /**
   * Gives a topic more partitions, `total` of them then; durable when this resolves.
   * @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, LIMIT_EXCEEDED, DISK_FULL,
   *   STORAGE_ERROR
   */
  addPartitions(name: string, total: number): Promise<Topic> {
    return this.#turns.take(name, async () => {
      const topic = this.#known(name);
      const { length: present } = topic.partitions;
      this.#limits.checkPartitions(name, total);
      if (total <= present) {
        throw new ProtocolError(
          'INVALID_PARTITIONS',
          `topic ${name} has ${present} partitions, and ${total} were asked for: their number can ` +
            `only grow`,
        );
      }
      const release = this.#limits.reserve({ topics: 0, partitions: total - present });
      try {
        const spec = { ...topic.spec, partitions: total };
        // First: a crash from here on leaves partitions without a directory, as new ones are.
        await this.#storeChange(topic, spec, `add partitions to topic ${name}`);
        const added = topic.newPartitions(total);
        await this.#openNew(topic, added);
        topic.grow(spec, added);
        return topic;
      } finally {
        release();
      }
    });
  }

  /**
   * Closes every partition, also after one that failed; topics cannot be changed any more. Resolves to
   * true when all is synced and checkpointed, so that the next start need not recover anything.
   * @throws what the first that failed threw.
   */
  async close(): Promise<boolean> {
    await this.#turns.close();
    const partitions = this.list().flatMap((topic) => topic.partitions);
    const failures: unknown[] = [];
    // Nobody has looked after what was left out.
    let inGoodOrder = this.#unreadable === 0;
    await forEachConcurrently(partitions, OPEN_CONCURRENCY, async (partition) => {
      try {
        if (!(await partition.close())) inGoodOrder = false;
      } catch (error) {
        failures.push(error);
      }
    });
    await this.#removals.ended();
    if (failures.length > 0) throw failures[0];
    return inGoodOrder;
  }

  async #load(path: string, id: string): Promise<void> {
    const spec = await loadOrReport(path, this.environment.logger);
    if (spec === undefined) {
      this.#unreadable += 1;
      return;
    }
    const other = this.#byName.get(spec.name);
    if (other !== undefined) {
      throw new DataDirError(
        'damaged',
        `${path} and ${join(this.directory, other.id)} both hold topic ${spec.name}; move the one ` +
          'that you do not want out of the data directory',
      );
    }
    this.#register(loadTopic(id, spec, path, this.environment));
  }

  #register(topic: OpenTopic): void {
    this.#byName.set(topic.name, topic);
    this.#byId.set(topic.id, topic);
    this.#list = undefined;
  }

  /** @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION */
  #known(name: string): OpenTopic {
    const topic = this.#byName.get(name);
    if (topic !== undefined) return topic;
    throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`);
  }

  async #openNew(topic: Topic, partitions: readonly Partition[]): Promise<void> {
    await forEachConcurrently(partitions, OPEN_CONCURRENCY, (partition) =>
      this.#open(topic, partition, true),
    );
  }

  async #open(topic: Topic, partition: Partition, cleanStop: boolean): Promise<void> {
    const directory = join(this.directory, topic.id, String(partition.index));
    await openPartition(partition, directory, cleanStop, this.environment, topic.config);
  }

  #checkNew({ name, partitions }: TopicSpec): void {
    if (!isValidTopicName(name)) {
      throw new ProtocolError(
        'INVALID_TOPIC',
        `"${name}" is no topic name: it takes 1 to 249 of A-Z a-z 0-9 . _ -, and not "." or ".."`,
      );
    }
    if (this.#byName.has(name)) {
      throw new ProtocolError('TOPIC_ALREADY_EXISTS', `topic ${name} exists already`);
    }
    this.#limits.checkPartitions(name, partitions);
  }

  async #storeChange(topic: OpenTopic, spec: TopicSpec, what: string): Promise<void> {
    try {
      await storeTopicChange(join(this.directory, topic.id), topic.spec, spec);
    } catch (error) {
      throw storageFailure(what, error);
    }
  }
}

function isLeftover(name: string): boolean {
  return name.endsWith(NEW_SUFFIX) || name.endsWith(DELETED_SUFFIX);
}
