import type { Roster } from '../roster.js';

/** Something that waits on behalf of a client: a long poll. */
export interface Wait {
  /** The client is gone: give up, nobody will read an answer. */
  cancel(): void;
  /** The connection is about to close in an orderly way: answer now with what there is. */
  hurry(): void;
}

/** What handlers know of the connection that a request came by. */
export interface ConnectionContext {
  /** `host:port` of the client, for logs. */
  readonly remoteAddress: string;
  /** Waits that end with the connection; who adds one removes it when it is over. */
  readonly waits: Roster<Wait>;
  /** No new wait may begin: the connection is closing. */
  readonly closing: boolean;
}

/** One request under way. */
export interface RequestContext {
  readonly connection: ConnectionContext;
  /** When the request came, in milliseconds of `performance.now()`. */
  readonly receivedAtMs: number;
  /**
   * When the request is given up and answered REQUEST_TIMED_OUT, on the same clock. A handler may
   * move it.
   */
  deadlineMs: number;
  /** False for a request that has no answer, not even an error (`acks=0`); a handler sets it. */
  wantsAnswer: boolean;
}
