import type { Logger } from 'pino';
import type { BrokerConfig } from '../config.js';
import type { BrokerCounters } from '../counters.js';
import type { Storage } from '../storage/open.js';

/** What handlers work with. */
export interface HandlerServices {
  readonly storage: Pick<
    Storage,
    'clusterId' | 'nodeId' | 'topics' | 'nextProducerId' | 'isIssuedProducerId'
  >;
  readonly config: Pick<
    BrokerConfig,
    | 'advertisedListen'
    | 'maxFetchBytes'
    | 'maxFetchWaitMs'
    | 'maxFrameBytes'
    | 'maxHeaderBytes'
    | 'visibility'
  >;
  readonly counters: BrokerCounters;
  readonly logger: Logger;
}
