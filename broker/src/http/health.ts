import type { DiskSpace } from '../storage/disk-space.js';
import type { TopicRegistry } from '../topics/topic-registry.js';

export type BrokerState = 'starting' | 'ready' | 'stopping';

export interface Health {
  readonly ready: boolean;
  /** One line for people. */
  readonly detail: string;
}

export type HealthSource = () => Health;

/** What is looked at. */
export interface HealthOfStorage {
  readonly topics: Pick<TopicRegistry, 'list'>;
  readonly disk: Pick<DiskSpace, 'problem'>;
}

/**
 * Whether clients should be sent here: not while the broker starts or stops. Offline partitions are
 * named but change nothing: taking the broker out would take the healthy ones along. Nor does a disk that
 * is nearly full: consumers are served, and that is what frees it.
 */
export function healthOf(state: BrokerState, storage: HealthOfStorage | undefined): Health {
  if (state !== 'ready' || storage === undefined) return { ready: false, detail: state };
  const problems = [offlineIn(storage.topics), lowIn(storage.disk)].filter((text) => text !== '');
  return { ready: true, detail: ['ready', ...problems].join(', but ') };
}

function offlineIn(topics: HealthOfStorage['topics']): string {
  const offline = topics
    .list()
    .flatMap((topic) => topic.partitions.filter((partition) => partition.state === 'offline'));
  if (offline.length === 0) return '';
  const shown = offline.slice(0, 10).map(({ topicName, index }) => `${topicName}-${index}`);
  const more = offline.length > shown.length ? ', …' : '';
  return `${offline.length} partitions are offline: ${shown.join(', ')}${more}`;
}

function lowIn({ problem }: HealthOfStorage['disk']): string {
  return problem === undefined ? '' : `messages are refused: ${problem}`;
}
