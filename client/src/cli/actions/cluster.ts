import type { ClusterDescription } from '../../admin-types.js';
import { counted } from '../../util/text.js';
import type { Environment } from '../environment.js';
import { print, type JsonOption } from '../print.js';
import { table } from '../table.js';
import { bytesWithUnit, isoTime } from '../units.js';
import { withAdmin } from './session.js';

/** `millrace cluster info` */
export function clusterInfo(environment: Environment, options: JsonOption): Promise<void> {
  return withAdmin(environment, async ({ admin, signal }) => {
    const description = await admin.describeCluster({ signal });
    print(environment, options, description, () => describe(description));
  });
}

function describe(cluster: ClusterDescription): string {
  const { clusterId, topics, partitions, offlinePartitions, groups, logBytes } = cluster;
  const offline = offlinePartitions === 0 ? '' : ` (${offlinePartitions} offline)`;
  const held = [
    counted(topics, 'topic'),
    `${counted(partitions, 'partition')}${offline}`,
    counted(groups, 'group'),
    `${bytesWithUnit(logBytes)} of messages`,
  ];
  const header = ['NODE', 'ADDRESS', 'VERSION', 'MODE', 'PERSIST', 'SERVE', 'STARTED'];
  // One broker alone is everything that there is to be.
  const alone = cluster.nodes.every(({ nodeId }) => nodeId === cluster.controllerId);
  const rows = cluster.nodes.map((node) => [
    String(node.nodeId),
    node.address,
    node.version,
    node.mode,
    node.persist,
    node.serve,
    isoTime(node.startedAtMs).replace(/\.\d+Z$/, 'Z'),
    ...(alone ? [] : [node.nodeId === cluster.controllerId ? 'controller' : 'broker']),
  ]);
  const nodes = table(alone ? header : [...header, 'ROLE'], rows);
  return `Cluster ${clusterId}\n${held.join(', ')}\n\n${nodes}`;
}
