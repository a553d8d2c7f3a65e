import { findCoordinatorApi } from '@millrace/protocol';
import type { Cluster } from '../cluster.js';
import { parseAddress, type Address } from '../net/address.js';

/** Where the coordinator of a group listens. One attempt. */
export async function findCoordinator(cluster: Cluster, groupId: string): Promise<Address> {
  const { response, broker } = await cluster.askOnce(findCoordinatorApi, { groupId });
  // An empty host means "the address that you dialled": right inside and outside a container.
  const { host, port } = response;
  return host === '' ? parseAddress(broker) : { host, port };
}
