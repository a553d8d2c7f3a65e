import type { CallLimits, Cluster } from '../cluster.js';
import { toMillraceError } from '../errors.js';
import type { Address } from '../net/address.js';
import { quoted } from '../util/text.js';
import type { CoordinatorConnection } from './coordinator-connection.js';

/** Finds the coordinator of a group again, once at a time, for as long as it takes. */
export class CoordinatorSearch {
  readonly #cluster: Cluster;
  readonly #coordinator: CoordinatorConnection;
  readonly #action: string;
  readonly #onFound: (address: Address) => void;
  #searching = false;
  /** Why it cannot be found, once that was told. */
  #told: string | undefined;

  /** @param onFound not called for a search that somebody else has ended by {@link CallLimits} */
  constructor(
    cluster: Cluster,
    coordinator: CoordinatorConnection,
    group: string,
    onFound: (address: Address) => void,
  ) {
    this.#cluster = cluster;
    this.#coordinator = coordinator;
    this.#action = `coordinator of group ${quoted(group)}`;
    this.#onFound = onFound;
  }

  /** What is known is wrong, perhaps. */
  begin(limits: CallLimits): void {
    if (this.#searching || limits.signal?.aborted === true) return;
    this.#searching = true;
    void this.#search(limits).finally(() => (this.#searching = false));
  }

  async #search(limits: CallLimits): Promise<void> {
    this.#coordinator.forget();
    try {
      const find = (): Promise<Address> => this.#coordinator.address();
      const address = await this.#cluster.retry(this.#action, limits, find);
      this.#told = undefined;
      if (limits.signal?.aborted !== true) this.#onFound(address);
    } catch (thrown) {
      // Over, and with it everything else.
      if (limits.signal?.aborted === true) return;
      // It does not pass by itself, yet may: the next heartbeat that fails searches again.
      const error = toMillraceError(thrown);
      if (this.#told === error.message) return;
      this.#told = error.message;
      this.#cluster.onEvent({ type: 'warning', error });
    }
  }
}
