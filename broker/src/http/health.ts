import type { TopicRegistry } from '../topics/topic-registry.js';

export type BrokerState = 'starting' | 'ready' | 'stopping';

export interface Health {
  readonly ready: boolean;
  /** One line for people. */
  readonly detail: string;
}

export type HealthSource = () => Health;

/**
 * Whether clients should be sent here: not while the broker starts or stops. Offline partitions are
 * named but change nothing: taking the broker out would take the healthy ones along.
 */
export function healthOf(
  state: BrokerState,
  topics: Pick<TopicRegistry, 'list'> | undefined,
): Health {
  if (state !== 'ready' || topics === undefined) return { ready: false, detail: state };
  const offline = topics
    .list()
    .flatMap((topic) => topic.partitions.filter((partition) => partition.state === 'offline'));
  if (offline.length === 0) return { ready: true, detail: 'ready' };
  const shown = offline.slice(0, 10).map(({ topicName, index }) => `${topicName}-${index}`);
  const more = offline.length > shown.length ? ', …' : '';
  return {
    ready: true,
    detail: `ready, but ${offline.length} partitions are offline: ${shown.join(', ')}${more}`,
  };
}
