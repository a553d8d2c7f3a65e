import { initProducerIdApi } from '@millrace/protocol';
import type { Cluster } from '../cluster.js';
import { toMillraceError } from '../errors.js';

/** Producer id and epoch, as brokers hand them out. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/**
 * The identity under which an idempotent producer sends (KIP-98). A new epoch is asked for when a
 * partition lost the thread; partitions take it up one by one, each when nothing of it is under
 * way, for brokers keep epochs per partition.
 */
export class IdentitySource {
  readonly #cluster: Cluster;
  #current: ProducerIdentity | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  get current(): ProducerIdentity | undefined {
    return this.#current;
  }

  /** Asks for an identity; one attempt. */
  async acquire(): Promise<void> {
    this.#current = await this.#ask({ producerId: -1, producerEpoch: -1 });
  }

  /** Makes sure that the identity is newer than the one given; one attempt. */
  async renew(stale: ProducerIdentity): Promise<void> {
    const { current } = this;
    if (current === undefined) return this.acquire();
    const newer =
      current.producerId !== stale.producerId || current.producerEpoch > stale.producerEpoch;
    if (newer) return;
    try {
      this.#current = await this.#ask(current);
    } catch (error) {
      // With the response to an earlier attempt lost, the epoch has moved on without us.
      if (toMillraceError(error).code !== 'INVALID_PRODUCER_EPOCH') throw error;
      await this.acquire();
    }
  }

  async #ask(identity: ProducerIdentity): Promise<ProducerIdentity> {
    const { response } = await this.#cluster.askOnce(initProducerIdApi, identity);
    return response;
  }
}
