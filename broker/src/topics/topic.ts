import { ProtocolError } from '@millrace/protocol';
import type { LogEnvironment } from '../storage/log-environment.js';
import { defaultStorageConfig } from '../storage/storage-config.js';
import { Partition } from './partition.js';
import { describeTopicConfig, resolveTopicConfig } from './topic-config.js';
import type { ConfigEntry, TopicConfig } from './topic-config.js';
import type { TopicSpec } from './topic-file.js';

/** One topic. What it says changes when it is altered: look again rather than keep it. */
export interface Topic {
  readonly name: string;
  /** 32 hexadecimal digits: a topic that is deleted and made again has another. */
  readonly id: string;
  readonly config: TopicConfig;
  /** By index. They never get fewer. */
  readonly partitions: readonly Partition[];
  describeConfig(): readonly ConfigEntry[];
}

/** A topic that can be altered, by the registry alone. */
export class OpenTopic implements Topic {
  #partitions: readonly Partition[] = [];

  constructor(
    readonly id: string,
    private stored: TopicSpec,
    private settings: TopicConfig,
    private readonly environment: LogEnvironment,
  ) {
    this.#partitions = this.newPartitions(stored.partitions);
  }

  get name(): string {
    return this.stored.name;
  }

  /** As `topic.json` holds it. */
  get spec(): TopicSpec {
    return this.stored;
  }

  get config(): TopicConfig {
    return this.settings;
  }

  get partitions(): readonly Partition[] {
    return this.#partitions;
  }

  describeConfig(): readonly ConfigEntry[] {
    return describeTopicConfig(
      this.settings,
      this.stored.config,
      this.environment.config,
      defaultStorageConfig,
    );
  }

  /** Takes over another config: it applies from each partition's next append, roll or check on. */
  configure(spec: TopicSpec, config: TopicConfig): void {
    this.stored = spec;
    this.settings = config;
    for (const partition of this.#partitions) partition.configure(config);
  }

  /** Partitions behind those that there are, up to `total` of them; they are not part of it yet. */
  newPartitions(total: number): readonly Partition[] {
    const first = this.#partitions.length;
    return Array.from(
      { length: total - first },
      (_, i) => new Partition(this.name, this.id, first + i, this.settings, this.environment),
    );
  }

  /** Takes `added`, from {@link newPartitions} and open, in. */
  grow(spec: TopicSpec, added: readonly Partition[]): void {
    this.stored = spec;
    this.#partitions = [...this.#partitions, ...added];
  }
}

/**
 * A stored topic. One whose own settings do not fit the broker's any more, as after a default was lowered,
 * comes up with all partitions offline: the others must not wait for it.
 */
export function loadTopic(
  id: string,
  spec: TopicSpec,
  path: string,
  environment: LogEnvironment,
): OpenTopic {
  const { config, logger } = environment;
  try {
    return new OpenTopic(id, spec, resolveTopicConfig(spec.config, config), environment);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    const problem = new ProtocolError(
      'PARTITION_OFFLINE',
      `topic ${spec.name} does not fit the broker's settings and is offline: ${cause.message}; change ` +
        "the broker's option or the topic's config, and restart the broker",
      { cause },
    );
    logger.error({ err: problem, topic: spec.name, path }, problem.message);
    const topic = new OpenTopic(id, spec, resolveTopicConfig({}, config), environment);
    for (const partition of topic.partitions) partition.refuse(problem);
    return topic;
  }
}
