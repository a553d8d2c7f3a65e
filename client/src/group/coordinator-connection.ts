import type { Api } from '@millrace/protocol';
import type { Cluster } from '../cluster.js';
import { toMillraceError } from '../errors.js';
import type { Address } from '../net/address.js';
import type { GroupPurpose } from '../net/group-purposes.js';
import { throwIfAborted } from '../util/abort.js';
import { ignore, raceAbort } from '../util/async.js';
import { findCoordinator } from './find-coordinator.js';

/** Limits of one request. */
export interface CoordinatorCall {
  /** Default the client's `requestTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Once aborted, nothing is sent any more; the answer to what was sent is still waited for. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Requests to the coordinator of a group. One call is one attempt; who the coordinator is is asked
 * when it is not known, or was found wrong.
 */
export class CoordinatorConnection {
  readonly #cluster: Cluster;
  readonly #group: string;
  #address: Address | undefined;
  #finding: Promise<Address> | undefined;
  #purpose: GroupPurpose | undefined;
  #released = false;

  constructor(cluster: Cluster, group: string) {
    this.#cluster = cluster;
    this.#group = group;
  }

  /** Where the coordinator listens. */
  address(): Promise<Address> {
    if (this.#address !== undefined) return Promise.resolve(this.#address);
    this.#finding ??= this.#find().finally(() => (this.#finding = undefined));
    return this.#finding;
  }

  /** Finds and dials it ahead of the first join. What fails is found out there. */
  prepare(): void {
    this.address()
      .then((address) => this.#cluster.pool.get(this.#groupPurpose(), address))
      .catch(ignore);
  }

  /** What is known turned out to be wrong. */
  forget(): void {
    this.#address = undefined;
  }

  /** The member joins no more: its place on a connection for joins is free for another one. */
  release(): void {
    if (this.#purpose !== undefined && !this.#released) {
      this.#cluster.pool.groupPurposes.release(this.#purpose);
    }
    this.#released = true;
  }

  /** @param lane `group` for what may wait for other members, which must hold up nothing else */
  async request<Request, Response>(
    lane: 'admin' | 'group',
    api: Api<Request, Response>,
    request: Request,
    { timeoutMs = this.#cluster.requestTimeoutMs, signal }: CoordinatorCall = {},
  ): Promise<Response> {
    try {
      const address = await raceAbort(this.address(), signal);
      const purpose = lane === 'group' ? this.#groupPurpose() : lane;
      const connection = await this.#cluster.pool.get(purpose, address, signal);
      throwIfAborted(signal);
      const { response } = await connection.request(api, request, { timeoutMs });
      return response;
    } catch (error) {
      if (doubtsCoordinator(error)) this.forget();
      throw error;
    }
  }

  #groupPurpose(): GroupPurpose {
    // What ends after the release is few and short: it needs no place.
    if (this.#released) return this.#purpose ?? 'group';
    this.#purpose ??= this.#cluster.pool.groupPurposes.take();
    return this.#purpose;
  }

  async #find(): Promise<Address> {
    this.#address = await findCoordinator(this.#cluster, this.#group);
    return this.#address;
  }
}

/** True when the error says that the coordinator is elsewhere, or not there. */
export function doubtsCoordinator(error: unknown): boolean {
  const { code } = toMillraceError(error);
  return (
    code === 'NOT_COORDINATOR' ||
    code === 'COORDINATOR_NOT_AVAILABLE' ||
    code === 'SHUTTING_DOWN' ||
    code === 'CONNECTION_FAILED' ||
    code === 'REQUEST_TIMEOUT'
  );
}
