import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeSubscription, type MetadataRequest } from '@millrace/protocol';
import { BrokerError } from '@millrace/client';
import type { Assignor, NamedPartition } from '../../../client/src/group/assignors/index.js';
import { rejectionOf, until } from '../support/harness.js';
import { FakeCoordinator } from './support/fake-coordinator.js';
import { error } from './support/faults.js';
import { useMembers } from './support/members.js';

const newMember = useMembers();
let broker: FakeCoordinator;

beforeEach(async () => {
  broker = await FakeCoordinator.start();
  broker.createTopic('t', 4);
});
afterEach(() => broker.stop());

function subscriptionTo(topics: readonly string[]): Buffer {
  const nothing = { userData: null, owned: [], generation: -1, rackId: null };
  return encodeSubscription({ topics, ...nothing });
}

function names(prefix: string, count: number, length = 0): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`.padEnd(length, '-'));
}

describe('a leader', () => {
  it('goes on without a member that cannot be read, and warns of it', async () => {
    broker.group.addGhost('ghost-1', Buffer.from('garbage'));
    const member = newMember(broker.port);
    await member.membership.start();
    expect(member.owned).toHaveLength(4);
    const [warning] = member.events.filter(({ type }) => type === 'warning');
    expect(warning).toMatchObject({ error: { code: 'INVALID_REQUEST' } });
    expect(JSON.stringify(warning?.type === 'warning' && warning.error.message)).toContain(
      'ghost-1',
    );
  });

  it('looks up more topics than fit into one request', async () => {
    const mine = names('mine-', 6_000);
    const theirs = names('theirs-', 6_000);
    for (const name of [...mine, ...theirs]) broker.createTopic(name, 1);
    broker.group.addGhost('ghost-1', subscriptionTo(theirs));
    const member = newMember(broker.port, { topics: mine });
    await member.membership.start();
    expect(member.owned).toHaveLength(6_000);
    expect(member.events.filter(({ type }) => type === 'retry')).toEqual([]);
  });

  it('asks for fewer topics at a time where the answer is too large', async () => {
    const topics = names('u-', 5);
    for (const name of topics) broker.createTopic(name, 1);
    broker.intercept = ({ api, request }) =>
      api === 'metadata' && ((request as MetadataRequest).topics?.length ?? 0) > 2
        ? error('LIMIT_EXCEEDED')
        : undefined;
    const member = newMember(broker.port, { topics });
    await member.membership.start();
    expect(member.owned).toHaveLength(5);
  });
});

describe('what is too large for one request ends the membership by name:', () => {
  it('the assignments', async () => {
    const all = ['a', 'b', 'c'].flatMap((topic): NamedPartition[] =>
      Array.from({ length: 50_000 }, (_, partition) => ({ topic, partition })),
    );
    const mine: Assignor = {
      ...{ name: 'mine', cooperative: true },
      assign: (members) => new Map(members.map(({ memberId }) => [memberId, all])),
    };
    broker.group.addGhost('ghost-1', subscriptionTo(['t']));
    const member = newMember(broker.port, { assignors: [mine] });
    const thrown = await rejectionOf(member.membership.start());
    expect(thrown).toBeInstanceOf(BrokerError);
    expect(thrown).toMatchObject({ code: 'FRAME_TOO_LARGE', retriable: false });
    expect((thrown as Error).message).toMatch(/assignor "mine".*2 members.*fewer topics/);
    expect(broker.callsOf('syncGroup')).toEqual([]);
  });

  it('the subscription', async () => {
    const topics = names('long-', 2_500, 245);
    for (const name of topics) broker.createTopic(name, 1);
    const member = newMember(broker.port, { topics, assignors: ['range', 'roundrobin'] });
    const thrown = await rejectionOf(member.membership.start());
    expect(thrown).toMatchObject({ code: 'FRAME_TOO_LARGE', retriable: false });
    expect((thrown as Error).message).toMatch(/2500 topics.*2 assignors.*too large/);
  });
});

describe('a static leader that comes back', () => {
  const options = { groupInstanceId: 'one' };

  it('finds the group as it was', async () => {
    const before = newMember(broker.port, options);
    await before.membership.start();
    await before.membership.leave();
    const after = newMember(broker.port, options);
    await after.membership.start();
    expect(after.owned).toEqual(['t-0', 't-1', 't-2', 't-3']);
    await after.membership.commit(after.rows(1));
    expect(broker.group.generation).toBe(1);
  });

  it.each([6, 2])('shares out anew where its topic has %i partitions by now', async (count) => {
    const before = newMember(broker.port, options);
    await before.membership.start();
    await before.membership.leave();
    broker.topics.set('t', { id: broker.topics.get('t')?.id ?? '', partitions: count });
    const after = newMember(broker.port, options);
    await after.membership.start();
    await until(() => broker.group.generation === 2 && after.owned.length === count);
    expect(after.toldOf('lost')).toEqual([]);
  });
});
