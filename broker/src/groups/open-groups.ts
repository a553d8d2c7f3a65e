import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Storage } from '../storage/open.js';
import type { StorageConfig } from '../storage/storage-config.js';
import type { TopicRegistry } from '../topics/topic-registry.js';
import type { Clock } from './clock.js';
import { systemClock } from './clock.js';
import { GroupCoordinator } from './coordinator.js';
import type { GroupTopics } from './coordinator-services.js';
import type { GroupConfig } from './group-config.js';
import { OffsetExpiry } from './offset-expiry.js';
import { loadOffsets } from './offsets-loader.js';
import { OffsetsStore } from './offsets-store.js';
import { OffsetsTopic } from './offsets-topic.js';

export interface GroupsOptions {
  readonly storage: Pick<Storage, 'nodeId' | 'topics'>;
  readonly config: GroupConfig & Pick<StorageConfig, 'maxRecordsPerBatch'>;
  readonly logger: Logger;
  /** Default: the real one. */
  readonly clock?: Clock;
  /** Default: random ones. */
  readonly newId?: () => string;
}

/** The broker's consumer groups, open. */
export interface Groups {
  readonly coordinator: GroupCoordinator;
  /** Answers everybody who waits, and stores what is under way. Before the storage is closed. */
  close(): Promise<void>;
}

/**
 * Opens the groups: reads what is committed, then lets the coordinator go on where the last broker
 * stopped. Never fails for what `__offsets` holds.
 */
export async function openGroups(options: GroupsOptions): Promise<Groups> {
  const { config, logger } = options;
  const { nodeId, topics } = options.storage;
  const clock = options.clock ?? systemClock;
  const newId = options.newId ?? randomUUID;
  const topic = new OffsetsTopic(topics, logger);
  const loaded = await loadOffsets(topic.partition, logger);
  const store = new OffsetsStore({
    ...{ topic, table: loaded.table, problem: loaded.problem, logger },
    topicExists: (topicId) => topics.byId(topicId) !== undefined,
    maxRecordsPerBatch: config.maxRecordsPerBatch,
    nowMs: () => clock.nowMs(),
  });
  forgetGoneTopics(store, loaded.table.topicIds(), topics);
  const coordinator = new GroupCoordinator({
    ...{ store, topics: groupTopics(topics), config, clock, newId, nodeId, logger },
  });
  coordinator.restore(loaded.groups.values());
  const stopListening = topics.onDeleted((topicId) => {
    void store.forgetTopic(topicId);
    coordinator.topicDeleted(topicId);
  });
  const { offsetsRetentionCheckIntervalMs } = config;
  const expiry = new OffsetExpiry(coordinator, clock, offsetsRetentionCheckIntervalMs, logger);
  return {
    coordinator,
    close: async () => {
      stopListening();
      expiry.close();
      coordinator.close();
      await store.close();
    },
  };
}

/** Topics that were deleted while their offsets could not be removed. */
function forgetGoneTopics(
  store: OffsetsStore,
  topicIds: Iterable<string>,
  topics: TopicRegistry,
): void {
  const gone = [...topicIds].filter((topicId) => topics.byId(topicId) === undefined);
  for (const topicId of gone) void store.forgetTopic(topicId);
}

function groupTopics(topics: TopicRegistry): GroupTopics {
  return {
    nameOf: (topicId) => topics.byId(topicId)?.name,
    hasPartition: (topicId, partition) => topics.byId(topicId)?.partitions[partition] !== undefined,
  };
}
