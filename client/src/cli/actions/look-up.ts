import { Admin } from '../../admin.js';
import { openCluster } from '../../open-cluster.js';
import { resolveClientOptions } from '../../options.js';
import { raceAbort } from '../../util/async.js';

/** Who has pressed Tab does not wait longer for names, in milliseconds. */
const LOOKUP_TIMEOUT_MS = 1_000;

/** Names of topics, of brokers such as `--broker` takes; none when they do not tell in time. */
export function topicNames(brokers: string): Promise<readonly string[]> {
  return lookUp(brokers, async (admin) => (await admin.listTopics()).map(({ name }) => name));
}

/** Names of groups, likewise. */
export function groupNames(brokers: string): Promise<readonly string[]> {
  return lookUp(brokers, async (admin) => (await admin.listGroups()).map(({ groupId }) => groupId));
}

async function lookUp(
  brokers: string,
  ask: (admin: Admin) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  try {
    const options = resolveClientOptions({
      brokers: brokers.split(','),
      clientId: 'millrace-completion',
      connectTimeoutMs: LOOKUP_TIMEOUT_MS / 2,
      requestTimeoutMs: LOOKUP_TIMEOUT_MS / 2,
    });
    const cluster = openCluster(options);
    try {
      return await raceAbort(ask(new Admin(cluster)), AbortSignal.timeout(LOOKUP_TIMEOUT_MS));
    } finally {
      cluster.pool.close();
    }
  } catch {
    return [];
  }
}
