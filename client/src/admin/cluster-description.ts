import { describeClusterApi } from '@millrace/protocol';
import type { CallLimits, Cluster } from '../cluster.js';
import { formatAddress } from '../net/address.js';
import type { ClusterDescription } from './cluster-types.js';

/** See Admin.describeCluster. */
export async function describeCluster(
  cluster: Cluster,
  limits: CallLimits,
): Promise<ClusterDescription> {
  const { response, broker } = await cluster.ask(describeClusterApi, {}, limits);
  const nodes = response.nodes.map(({ host, port, ...node }) => ({
    ...node,
    // An empty host means "the address that you dialled".
    address: host === '' ? broker : formatAddress({ host, port }),
  }));
  return { ...response, nodes };
}
