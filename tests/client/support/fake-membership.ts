import type { GroupConsumerOptions, TopicPartition } from '@millrace/client';
import { Cluster } from '../../../client/src/cluster.js';
import { GroupConsumer } from '../../../client/src/consumer/group-consumer.js';
import type { GroupMembership } from '../../../client/src/consumer/group-assignment.js';
import type {
  CommitRow,
  CommittedPosition,
  LeaveOptions,
  MembershipListener,
} from '../../../client/src/group/membership.js';
import { ConnectionPool } from '../../../client/src/net/connection-pool.js';
import type { FakeBroker } from './fake-broker.js';
import type { Harness } from './harness.js';

/** A partition as `topic-number`. */
export type Name = `${string}-${number}`;

/** A membership whose group is the test: it assigns, revokes and fails when the test says so. */
export class FakeMembership implements GroupMembership {
  /** What was called and what happened, in order. */
  readonly log: string[] = [];
  readonly committed = new Map<string, CommittedPosition>();
  /** What the first assignment is. */
  initial: readonly Name[] = [];
  /** Runs before a commit is stored; may throw or wait. */
  onCommit: (rows: readonly CommitRow[]) => Promise<void> = () => Promise.resolve();
  /** As a member does before it joins. */
  lookUpTopics: () => Promise<unknown> = () => Promise.resolve();
  handled = 0;
  /** What hooks it was told of, and their ends. */
  readonly hooks: string[] = [];
  left = false;
  readonly #broker: FakeBroker;
  readonly #listener: MembershipListener;

  constructor(broker: FakeBroker, listener: MembershipListener) {
    this.#broker = broker;
    this.#listener = listener;
  }

  async start(): Promise<void> {
    await this.lookUpTopics();
    await this.assign(...this.initial);
  }

  async commit(rows: readonly CommitRow[]): Promise<void> {
    const names = rows.map(({ topic, partition, offset }) => `${topic}-${partition}@${offset}`);
    await this.onCommit(rows);
    this.log.push(`commit ${names.join(' ')}`);
    for (const { topic, partition, offset, leaderEpoch, metadata } of rows) {
      const stored = { offset, leaderEpoch, metadata, commitTimeMs: 0 };
      this.committed.set(`${topic}-${partition}`, stored);
    }
  }

  fetchOffsets(partitions: readonly TopicPartition[]): Promise<(CommittedPosition | undefined)[]> {
    return Promise.resolve(
      partitions.map(({ topic, partition }) => this.committed.get(`${topic}-${partition}`)),
    );
  }

  handling(): void {
    this.handled += 1;
  }

  idle(): void {
    this.log.push('idle');
  }

  refreshTopics(): Promise<void> {
    this.log.push('refresh topics');
    return Promise.resolve();
  }

  busyWith(hook: string): void {
    this.hooks.push(hook);
  }

  doneWith(): void {
    this.hooks.push('done');
  }

  leave({ leave }: LeaveOptions = {}): Promise<void> {
    this.log.push(leave === undefined ? 'leave' : `leave: ${leave}`);
    this.left = true;
    return Promise.resolve();
  }

  assign(...names: readonly Name[]): Promise<void> {
    return this.#listener.onAssigned(this.#partitions(names));
  }

  revoke(...names: readonly Name[]): Promise<void> {
    return this.#listener.onRevoked(this.#partitions(names)).then(() => {
      this.log.push(`revoked ${names.join(' ')}`);
    });
  }

  cutOff(...names: readonly Name[]): void {
    this.#listener.onCutOff(this.#partitions(names));
  }

  lose(...names: readonly Name[]): Promise<void> {
    this.cutOff(...names);
    return this.#listener.onLost(this.#partitions(names));
  }

  fail(error: Parameters<MembershipListener['onFailed']>[0]): void {
    this.#listener.onFailed(error);
  }

  offsetOf(name: Name): number | undefined {
    return this.committed.get(name)?.offset;
  }

  #partitions(names: readonly Name[]): TopicPartition[] {
    return names.map((name) => {
      const dash = name.lastIndexOf('-');
      const topic = name.slice(0, dash);
      const topicId = this.#broker.topics.get(topic)?.id ?? '';
      return { topic, topicId, partition: Number(name.slice(dash + 1)) };
    });
  }
}

/** A group consumer of the fake broker, and the membership it has. */
export interface Member {
  readonly consumer: GroupConsumer;
  readonly membership: FakeMembership;
  /** Ends the connections too. */
  readonly close: () => Promise<void>;
}

/** A consumer that gets `initial` when it starts. Commits in the background only when told to. */
export function member(
  { broker, events }: Harness,
  initial: readonly Name[],
  options: Partial<GroupConsumerOptions> = {},
  closeTimeoutMs = 5_000,
): Member {
  const onEvent = (event: Harness['events'][number]): void => void events.push(event);
  const reconnectBackoff = { initialMs: 1, maximumMs: 20 };
  const pool = new ConnectionPool({
    ...{ clientId: 'test', connectTimeoutMs: 5_000, reconnectBackoff, onEvent },
  });
  const cluster = new Cluster(pool, {
    brokers: [{ host: '127.0.0.1', port: broker.port }],
    ...{ requestTimeoutMs: 30_000, metadataMaxAgeMs: 300_000, onEvent },
    retryBackoff: reconnectBackoff,
  });
  let membership: FakeMembership | undefined;
  const consumer = new GroupConsumer(
    {
      ...{ cluster, closeTimeoutMs, onClosed: () => undefined },
      join: (_, listener) => (membership = new FakeMembership(broker, listener)),
    },
    { group: 'g', topics: ['t'], autoCommitIntervalMs: 3_600_000, ...options },
  );
  if (membership === undefined) throw new Error('It did not join');
  membership.initial = initial;
  membership.lookUpTopics = () => cluster.topic('t');
  const close = async (): Promise<void> => {
    await consumer.close().catch(() => undefined);
    pool.close();
  };
  return { consumer, membership, close };
}
