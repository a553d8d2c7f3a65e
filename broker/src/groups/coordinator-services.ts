import type { Logger } from 'pino';
import type { Clock } from './clock.js';
import type { GroupConfig } from './group-config.js';
import type { GroupStore } from './group-store.js';

/** What the coordinator asks about topics. */
export interface GroupTopics {
  /** undefined: no topic has this id (any more). */
  nameOf(topicId: string): string | undefined;
  hasPartition(topicId: string, partition: number): boolean;
}

/** Where a member is connected from. */
export interface GroupClient {
  readonly clientId: string;
  /** For people: shown by describe. */
  readonly host: string;
}

/** What the coordinator works with. */
export interface CoordinatorServices {
  readonly store: GroupStore;
  readonly topics: GroupTopics;
  readonly config: GroupConfig;
  readonly clock: Clock;
  /** Never the same twice, also over restarts: the last part of a member id. */
  readonly newId: () => string;
  /** Shown by describe as the coordinator of each group. */
  readonly nodeId: number;
  readonly logger: Logger;
}
