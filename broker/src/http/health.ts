import type { DiskSpace } from '../storage/disk-space.js';
import type { Partition } from '../topics/partition.js';
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
 * Whether clients should be sent here: not while the broker starts or stops. Offline and damaged
 * partitions are named but change nothing: taking the broker out would take the healthy ones along. Nor
 * does a disk that is nearly full: consumers are served, and that is what frees it.
 */
export function healthOf(state: BrokerState, storage: HealthOfStorage | undefined): Health {
  if (state !== 'ready' || storage === undefined) return { ready: false, detail: state };
  const problems = [...troublesIn(storage.topics), ...lowIn(storage.disk)];
  const detail = problems.length === 0 ? 'ready' : `ready, but ${problems.join('; ')}`;
  return { ready: true, detail };
}

function troublesIn(topics: HealthOfStorage['topics']): string[] {
  const partitions = topics.list().flatMap((topic) => topic.partitions);
  return (['offline', 'damaged'] as const).flatMap((state) => {
    const names = partitions.filter((partition) => partition.state === state).map(nameOf);
    if (names.length === 0) return [];
    const more = names.length > 10 ? ', …' : '';
    return [`${names.length} partitions are ${state}: ${names.slice(0, 10).join(', ')}${more}`];
  });
}

function lowIn({ problem }: HealthOfStorage['disk']): string[] {
  return problem === undefined ? [] : [`messages are refused: ${problem}`];
}

function nameOf({ topicName, index }: Partition): string {
  return `${topicName}-${index}`;
}
