import { doubtsMetadata, type Cluster, type TopicRoute } from '../cluster.js';
import { noSuchPartition } from '../missing.js';
import { misfit, type Asked } from './rows.js';
import type { PartitionOfTopic } from './topic-types.js';

/** A partition to ask about, as the wire names it. */
export interface Routed<Item> {
  readonly item: Item;
  readonly topicId: string;
}

/**
 * Asks the leaders of partitions, each about its own. One attempt; metadata that turns out to be
 * wrong is forgotten.
 *
 * @returns rows in the order of the items.
 * @throws UnknownTopicError, ConnectionError and what asking throws.
 */
export async function askLeaders<Item extends PartitionOfTopic, Row>(
  cluster: Cluster,
  items: readonly Item[],
  ask: (
    node: number,
    rows: readonly Routed<Item>[],
  ) => Promise<{ readonly rows: readonly Row[]; readonly broker: string }>,
): Promise<Asked<Row>[]> {
  const byNode = await groupByLeader(cluster, items);
  const answers = new Map<Item, Asked<Row>>();
  try {
    await Promise.all(
      [...byNode].map(async ([node, routed]) => {
        const { rows, broker } = await ask(node, routed);
        for (const [index, { item }] of routed.entries()) {
          const row = rows[index];
          if (row === undefined) throw misfit('partition', broker);
          answers.set(item, { row, broker });
        }
      }),
    );
  } catch (error) {
    if (doubtsMetadata(error)) for (const { topic } of items) cluster.forget(topic);
    throw error;
  }
  return items.flatMap((item) => answers.get(item) ?? []);
}

async function groupByLeader<Item extends PartitionOfTopic>(
  cluster: Cluster,
  items: readonly Item[],
): Promise<Map<number, Routed<Item>[]>> {
  const routes = await routesOf(cluster, items);
  const byNode = new Map<number, Routed<Item>[]>();
  for (const item of items) {
    const route = routes.get(item.topic);
    const leader = route?.partitions[item.partition]?.leader;
    if (route === undefined || leader === undefined) {
      throw noSuchPartition(item.topic, item.partition, route?.partitions.length ?? 0);
    }
    const rows = byNode.get(leader) ?? [];
    rows.push({ item, topicId: route.topicId });
    byNode.set(leader, rows);
  }
  return byNode;
}

/** What metadata says of the partitions' topics, by name. @throws UnknownTopicError */
export async function routesOf(
  cluster: Cluster,
  items: readonly PartitionOfTopic[],
): Promise<Map<string, TopicRoute>> {
  const names = [...new Set(items.map(({ topic }) => topic))];
  const routes = await Promise.all(names.map((name) => cluster.topic(name)));
  return new Map(routes.map((route) => [route.name, route]));
}
