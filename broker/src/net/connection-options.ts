import type { Logger } from 'pino';
import type { BrokerCounters } from '../counters.js';
import type { WireProtocol } from '../wire/wire-protocol.js';
import type { IdleLimits } from './idle-watch.js';
import type { Outlet } from './outlet.js';
import type { RequestMemory } from './request-memory.js';
import type { SocketReader } from './socket-reader.js';

export interface ConnectionLimits extends IdleLimits {
  readonly maxInFlightRequestsPerConnection: number;
  readonly maxInFlightBytesPerConnection: number;
  readonly maxOutboundBytesPerConnection: number;
  readonly sendBytesPerTurn: number;
  readonly requestTimeoutMs: number;
  readonly sendStallTimeoutMs: number;
}

export interface ConnectionOptions<Frame> {
  readonly reader: SocketReader;
  /** Bounds what all connections hold together. */
  readonly memory: RequestMemory;
  readonly outlet: Outlet;
  readonly protocol: WireProtocol<Frame>;
  readonly limits: ConnectionLimits;
  readonly counters: BrokerCounters;
  readonly logger: Logger;
  /** Called once, when the socket is closed. */
  readonly onClosed: () => void;
}
