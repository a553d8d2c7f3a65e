import { MAX_GROUP_ID_LENGTH, type Api } from '@millrace/protocol';
import type { Answer, Cluster } from '../cluster.js';
import { InvalidArgumentError } from '../errors.js';
import { findCoordinator } from '../group/find-coordinator.js';
import { formatAddress, type Address } from '../net/address.js';
import { misfit, type Asked } from './rows.js';

/**
 * Asks the coordinator of a group. One attempt: whoever retries looks the coordinator up again,
 * as it may be another by then.
 */
export async function askCoordinator<Request, Response>(
  cluster: Cluster,
  groupId: string,
  api: Api<Request, Response>,
  request: Request,
): Promise<Answer<Response>> {
  return askAt(cluster, await findCoordinator(cluster, groupId), api, request);
}

/**
 * Asks the coordinators of several groups, those of one broker together. One attempt.
 *
 * @returns rows in the order of the groups.
 */
export async function askCoordinators<Request, Response, Row>(
  cluster: Cluster,
  groupIds: readonly string[],
  api: Api<Request, Response>,
  requestFor: (groupIds: readonly string[]) => Request,
  rowsOf: (response: Response) => readonly Row[],
): Promise<Asked<Row>[]> {
  const addresses = await Promise.all(groupIds.map((id) => findCoordinator(cluster, id)));
  const byBroker = new Map<string, { address: Address; ids: string[] }>();
  for (const [index, address] of addresses.entries()) {
    const name = formatAddress(address);
    const group = byBroker.get(name) ?? { address, ids: [] };
    group.ids.push(groupIds[index] ?? '');
    byBroker.set(name, group);
  }
  const answers = new Map<string, Asked<Row>>();
  await Promise.all(
    [...byBroker.values()].map(async ({ address, ids }) => {
      const { response, broker } = await askAt(cluster, address, api, requestFor(ids));
      const rows = rowsOf(response);
      for (const [index, id] of ids.entries()) {
        const row = rows[index];
        if (row === undefined) throw misfit(api.name, broker);
        answers.set(id, { row, broker });
      }
    }),
  );
  return groupIds.flatMap((id) => answers.get(id) ?? []);
}

async function askAt<Request, Response>(
  cluster: Cluster,
  address: Address,
  api: Api<Request, Response>,
  request: Request,
): Promise<Answer<Response>> {
  const connection = await cluster.pool.get('admin', address);
  const limits = { timeoutMs: cluster.requestTimeoutMs };
  const { response } = await connection.request(api, request, limits);
  return { response, broker: connection.broker };
}

/** @throws InvalidArgumentError for what no group is called. */
export function checkGroupId(groupId: unknown): void {
  if (typeof groupId === 'string' && groupId !== '' && groupId.length <= MAX_GROUP_ID_LENGTH) {
    return;
  }
  const most = `of 1 to ${MAX_GROUP_ID_LENGTH} characters`;
  throw new InvalidArgumentError(`The name of a group is a string ${most}`);
}
