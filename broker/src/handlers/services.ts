import type { Logger } from 'pino';
import type { BrokerConfig } from '../config.js';
import type { BrokerCounters } from '../counters.js';
import type { GroupCoordinator } from '../groups/coordinator.js';
import type { ModeName, PersistName, ServeName } from '../modes.js';
import type { Storage } from '../storage/open.js';

/** What this broker is and since when. */
export interface BrokerFacts {
  readonly mode: ModeName;
  readonly persist: PersistName;
  readonly serve: ServeName;
  /** Unix time in ms. */
  readonly startedAtMs: number;
}

/** What handlers work with. */
export interface HandlerServices {
  readonly storage: Pick<
    Storage,
    'clusterId' | 'nodeId' | 'topics' | 'disk' | 'nextProducerId' | 'isIssuedProducerId' | 'stats'
  >;
  readonly config: Pick<
    BrokerConfig,
    | 'advertisedListen'
    | 'groupInitialRebalanceDelayMs'
    | 'maxFetchBytes'
    | 'maxFetchWaitMs'
    | 'maxFrameBytes'
    | 'maxHeaderBytes'
    | 'maxRebalanceTimeoutMs'
    | 'visibility'
  >;
  readonly groups: GroupCoordinator;
  readonly about: BrokerFacts;
  readonly counters: BrokerCounters;
  readonly logger: Logger;
}
