import { findCoordinatorApi, type Api } from '@millrace/protocol';
import type { Cluster } from '../cluster.js';
import { toMillraceError } from '../errors.js';
import { parseAddress, type Address } from '../net/address.js';
import type { Purpose } from '../net/connection-pool.js';
import { ignore } from '../util/async.js';

/**
 * Requests to the coordinator of a group. One call is one attempt; who the coordinator is is asked
 * when it is not known, or was found wrong.
 */
export class CoordinatorConnection {
  readonly #cluster: Cluster;
  readonly #group: string;
  #address: Address | undefined;
  #finding: Promise<Address> | undefined;

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
      .then((address) => this.#cluster.pool.get('group', address))
      .catch(ignore);
  }

  /** What is known turned out to be wrong. */
  forget(): void {
    this.#address = undefined;
  }

  /** @param purpose `group` for what may wait for other members, which must hold up nothing else */
  async request<Request, Response>(
    purpose: Extract<Purpose, 'admin' | 'group'>,
    api: Api<Request, Response>,
    request: Request,
    timeoutMs = this.#cluster.requestTimeoutMs,
  ): Promise<Response> {
    try {
      const connection = await this.#cluster.pool.get(purpose, await this.address());
      const { response } = await connection.request(api, request, { timeoutMs });
      return response;
    } catch (error) {
      if (doubtsCoordinator(error)) this.forget();
      throw error;
    }
  }

  async #find(): Promise<Address> {
    const groupId = this.#group;
    const { response, broker } = await this.#cluster.askOnce(findCoordinatorApi, { groupId });
    // An empty host means "the address that you dialled", as in metadata.
    const { host, port } = response;
    this.#address = host === '' ? parseAddress(broker) : { host, port };
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
