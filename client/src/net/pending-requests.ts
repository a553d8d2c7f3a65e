import type { Api } from '@millrace/protocol';
import type { MillraceError } from '../errors.js';
import type { Reply } from './connection-types.js';

const MAX_CORRELATION_ID = 0x7fff_ffff;
/** A power of two; doubled when half of it is taken. */
const INITIAL_PLACES = 64;

/** A request that waits for its response. */
export interface PendingRequest {
  readonly api: Api<unknown, unknown>;
  /** Of the whole frame that was sent. */
  readonly sentBytes: number;
  readonly resolve: (reply: Reply<unknown>) => void;
  readonly reject: (error: MillraceError) => void;
  readonly timer: NodeJS.Timeout;
}

interface Waiting {
  readonly id: number;
  readonly request: PendingRequest;
}

/**
 * The requests of a connection that wait for a response, by correlation id.
 *
 * Not a Map: of one whose entries come and go V8 makes a new table every few of them, and each table refers to the
 * next one. The first that gets old then keeps all after it from being collected young, with what they refer to:
 * 10,000 requests a second cost a full collection each second.
 */
export class PendingRequests {
  /** Each at its id, modulo the length, which no other has. */
  #places: (Waiting | undefined)[] = emptyPlaces(INITIAL_PLACES);
  #size = 0;
  #nextId: number;

  /** @param firstId of the ids that are given out; default 1. */
  constructor(firstId = 1) {
    this.#nextId = firstId;
  }

  get size(): number {
    return this.#size;
  }

  /** An id that no request under way has, nor one that has its place. */
  takeId(): number {
    let id = this.#nextId;
    while (this.#places[this.#placeOf(id)] !== undefined) id = following(id);
    this.#nextId = following(id);
    return id;
  }

  /**
   * @param id from {@link takeId}, without another add since.
   * @throws Error when another request has its place.
   */
  add(id: number, request: PendingRequest): void {
    const place = this.#placeOf(id);
    if (this.#places[place] !== undefined) throw new Error(`request ${id} was not given this id`);
    this.#places[place] = { id, request };
    this.#size += 1;
    if (this.#size * 2 > this.#places.length) this.#grow();
  }

  /** The request, which waits no more; undefined when there is none of this id. */
  take(id: number): PendingRequest | undefined {
    const place = this.#placeOf(id);
    const waiting = this.#places[place];
    if (waiting?.id !== id) return undefined;
    this.#places[place] = undefined;
    this.#size -= 1;
    clearTimeout(waiting.request.timer);
    return waiting.request;
  }

  /** Takes the one of which most was sent; of several any. */
  takeLargest(): PendingRequest | undefined {
    let largest: Waiting | undefined;
    for (const waiting of this.#places) {
      if (waiting === undefined) continue;
      if (largest === undefined || waiting.request.sentBytes > largest.request.sentBytes) {
        largest = waiting;
      }
    }
    return largest === undefined ? undefined : this.take(largest.id);
  }

  /** Rejects them all, in no order. */
  failAll(error: MillraceError): void {
    const places = this.#places;
    this.#places = emptyPlaces(INITIAL_PLACES);
    this.#size = 0;
    for (const waiting of places) {
      if (waiting === undefined) continue;
      clearTimeout(waiting.request.timer);
      waiting.request.reject(error);
    }
  }

  #placeOf(id: number): number {
    return id & (this.#places.length - 1);
  }

  #grow(): void {
    const places = this.#places;
    this.#places = emptyPlaces(2 * places.length);
    for (const waiting of places) {
      if (waiting !== undefined) this.#places[this.#placeOf(waiting.id)] = waiting;
    }
  }
}

function emptyPlaces(count: number): (Waiting | undefined)[] {
  return new Array<Waiting | undefined>(count).fill(undefined);
}

function following(id: number): number {
  return id === MAX_CORRELATION_ID ? 1 : id + 1;
}
