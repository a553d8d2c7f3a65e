import type { RequestContext } from '../handlers/context.js';
import type { Received } from '../wire/wire-protocol.js';
import type { Lease } from './socket-reader.js';

/** A request that waits its turn, and the memory that it lies in. */
export interface Waiting<Frame> {
  readonly received: Received<Frame>;
  readonly lease: Lease;
}

/** A request under way. */
export interface Exchange<Frame> extends RequestContext {
  readonly frame: Frame;
  /** Answered, also by a timeout: what comes later is dropped. */
  answered: boolean;
}
