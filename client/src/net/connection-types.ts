import type { ByteChunks } from '@millrace/protocol';
import type { EventListener } from '../events.js';
import type { Address } from './address.js';

/** How to open a connection. */
export interface ConnectionOptions {
  readonly address: Address;
  /** What the connection is for, for events. */
  readonly purpose: string;
  readonly clientId: string;
  /** From the dial to the checked api versions, in milliseconds. */
  readonly connectTimeoutMs: number;
  readonly onEvent: EventListener;
  /** Called once when the connection is gone, for whatever reason. */
  readonly onClose?: () => void;
}

/** A response and the record batches that came with it. */
export interface Reply<Response> {
  readonly response: Response;
  readonly payload: ByteChunks;
}

/** A request to send. */
export interface Call {
  readonly timeoutMs: number;
  /** Record batches, sent after the header without being copied. */
  readonly payload?: readonly Buffer[];
}
