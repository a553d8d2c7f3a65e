import { afterEach } from '@jest/globals';
import type { ClientEvent, MillraceError } from '@millrace/client';
import { Cluster } from '../../../../client/src/cluster.js';
import {
  Membership,
  type CommitRow,
  type MembershipListener,
  type MembershipOptions,
  type TopicPartition,
} from '../../../../client/src/group/membership.js';
import { ConnectionPool } from '../../../../client/src/net/connection-pool.js';

/** What the listener of a member was told, in order. */
export type Told =
  | { readonly type: 'assigned' | 'revoked' | 'lost'; readonly partitions: readonly string[] }
  | { readonly type: 'failed'; readonly error: MillraceError };

/** A member with its own client, and what it was told. */
export class TestMember implements MembershipListener {
  readonly told: Told[] = [];
  /** What it was told to have lost, at once. */
  readonly cutOff: (readonly string[])[] = [];
  readonly events: ClientEvent[] = [];
  readonly membership: Membership;
  readonly cluster: Cluster;
  readonly #pool: ConnectionPool;
  /** What a test does when something is told; it is awaited. */
  during:
    ((type: Told['type'], partitions: readonly TopicPartition[]) => Promise<void>) | undefined;

  constructor(port: number, options: Partial<MembershipOptions>, requestTimeoutMs = 10_000) {
    const onEvent = (event: ClientEvent): void => void this.events.push(event);
    const backoff = { initialMs: 2, maximumMs: 50 };
    this.#pool = new ConnectionPool({
      clientId: 'test',
      connectTimeoutMs: 5_000,
      reconnectBackoff: backoff,
      onEvent,
    });
    this.cluster = new Cluster(this.#pool, {
      brokers: [{ host: '127.0.0.1', port }],
      requestTimeoutMs,
      retryBackoff: backoff,
      onEvent,
    });
    this.membership = new Membership(
      this.cluster,
      { group: 'g', topics: ['t'], heartbeatIntervalMs: 20, ...options },
      this,
    );
  }

  get owned(): string[] {
    return names(this.membership.owned);
  }

  /** Of one type, the partitions as a list each. */
  toldOf(type: 'assigned' | 'revoked' | 'lost'): (readonly string[])[] {
    return this.told.flatMap((each) => (each.type === type ? [each.partitions] : []));
  }

  get failure(): MillraceError | undefined {
    for (const each of this.told) if (each.type === 'failed') return each.error;
    return undefined;
  }

  /** A position in every partition that it owns. */
  rows(offset: number): CommitRow[] {
    return this.membership.owned.map((partition) => ({
      ...partition,
      offset,
      leaderEpoch: 0,
      metadata: null,
    }));
  }

  async onAssigned(partitions: readonly TopicPartition[]): Promise<void> {
    this.told.push({ type: 'assigned', partitions: names(partitions) });
    await this.during?.('assigned', partitions);
  }

  async onRevoked(partitions: readonly TopicPartition[]): Promise<void> {
    this.told.push({ type: 'revoked', partitions: names(partitions) });
    await this.during?.('revoked', partitions);
  }

  onCutOff(partitions: readonly TopicPartition[]): void {
    this.cutOff.push(names(partitions));
  }

  async onLost(partitions: readonly TopicPartition[]): Promise<void> {
    this.told.push({ type: 'lost', partitions: names(partitions) });
    await this.during?.('lost', partitions);
  }

  onFailed(error: MillraceError): void {
    this.told.push({ type: 'failed', error });
  }

  async close(): Promise<void> {
    await this.membership.leave();
    this.#pool.close();
  }
}

/** Makes members that are closed after the test. */
export function useMembers(): (
  port: number,
  options?: Partial<MembershipOptions>,
  requestTimeoutMs?: number,
) => TestMember {
  const members: TestMember[] = [];
  afterEach(async () => {
    await Promise.all(members.splice(0).map((member) => member.close()));
  });
  return (port, options = {}, requestTimeoutMs) => {
    const member = new TestMember(port, options, requestTimeoutMs);
    members.push(member);
    return member;
  };
}

function names(partitions: readonly TopicPartition[]): string[] {
  return partitions.map(({ topic, partition }) => `${topic}-${partition}`).sort();
}
