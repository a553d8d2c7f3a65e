import type { Api } from '@millrace/protocol';
import type { MillraceError } from '../errors.js';
import type { Reply } from './connection-types.js';

const MAX_CORRELATION_ID = 0x7fff_ffff;

/** A request that waits for its response. */
export interface PendingRequest {
  readonly api: Api<unknown, unknown>;
  /** Of the whole frame that was sent. */
  readonly sentBytes: number;
  readonly resolve: (reply: Reply<unknown>) => void;
  readonly reject: (error: MillraceError) => void;
  readonly timer: NodeJS.Timeout;
}

/** The requests of a connection that wait for a response, by correlation id. */
export class PendingRequests {
  readonly #waiting = new Map<number, PendingRequest>();
  #nextId = 1;

  get size(): number {
    return this.#waiting.size;
  }

  /** An id that no request under way has. */
  takeId(): number {
    let id = this.#nextId;
    while (this.#waiting.has(id)) id = following(id);
    this.#nextId = following(id);
    return id;
  }

  add(id: number, request: PendingRequest): void {
    this.#waiting.set(id, request);
  }

  /** The request, which waits no more; undefined when there is none of this id. */
  take(id: number): PendingRequest | undefined {
    const request = this.#waiting.get(id);
    if (request === undefined) return undefined;
    this.#waiting.delete(id);
    clearTimeout(request.timer);
    return request;
  }

  /** Takes the one of which most was sent. */
  takeLargest(): PendingRequest | undefined {
    let largest: readonly [number, PendingRequest] | undefined;
    for (const entry of this.#waiting) {
      if (largest === undefined || entry[1].sentBytes > largest[1].sentBytes) largest = entry;
    }
    return largest === undefined ? undefined : this.take(largest[0]);
  }

  failAll(error: MillraceError): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { timer, reject } of waiting) {
      clearTimeout(timer);
      reject(error);
    }
  }
}

function following(id: number): number {
  return id === MAX_CORRELATION_ID ? 1 : id + 1;
}
