import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { OffsetCommitRequest, OffsetFetchRequest } from '@millrace/protocol';
import { FencedInstanceError, RebalanceError, UnknownTopicError } from '@millrace/client';
import { Deferred } from '../../../client/src/util/async.js';
import { rejectionOf, until } from '../support/harness.js';
import { FakeCoordinator } from './support/fake-coordinator.js';
import { error, passing } from './support/faults.js';
import { useMembers, type TestMember } from './support/members.js';

const newMember = useMembers();
let broker: FakeCoordinator;

beforeEach(async () => {
  broker = await FakeCoordinator.start();
  broker.createTopic('t', 4);
});
afterEach(() => broker.stop());

async function startedMember(groupInstanceId?: string): Promise<TestMember> {
  const member = newMember(broker.port, { groupInstanceId });
  await member.membership.start();
  return member;
}

describe('a commit', () => {
  it('is stored, and read again', async () => {
    const member = await startedMember();
    await member.membership.commit(member.rows(7));
    const positions = await member.membership.fetchOffsets(member.membership.owned);
    expect(positions.map((position) => position?.offset)).toEqual([7, 7, 7, 7]);
  });

  const faults = [...passing, error('REBALANCE_IN_PROGRESS')];
  it.each(faults)('is tried again after %j', async (fault) => {
    const member = await startedMember();
    broker.failNext('offsetCommit', fault, 2);
    await member.membership.commit(member.rows(7));
    expect(broker.group.offsets.size).toBe(4);
    expect(member.toldOf('lost')).toEqual([]);
  });

  it('gives up after requestTimeoutMs, with the last error', async () => {
    const member = newMember(broker.port, {}, 50);
    await member.membership.start();
    broker.failNext('offsetCommit', error('COORDINATOR_LOAD_IN_PROGRESS'), 1_000);
    const thrown = await rejectionOf(member.membership.commit(member.rows(7)));
    expect(thrown).toMatchObject({ code: 'COORDINATOR_LOAD_IN_PROGRESS' });
  });

  it('that meets rebalances for all of requestTimeoutMs is a RebalanceError that says so', async () => {
    const member = newMember(broker.port, {}, 50);
    await member.membership.start();
    broker.failNext('offsetCommit', error('REBALANCE_IN_PROGRESS'), 1_000);
    const thrown = await rejectionOf(member.membership.commit(member.rows(7)));
    expect(thrown).toBeInstanceOf(RebalanceError);
    expect((thrown as Error).message).toContain('all of requestTimeoutMs (50 ms)');
  });

  it.each(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'] as const)(
    'of a member that is out (%s) is a RebalanceError, and the member joins afresh',
    async (name) => {
      const member = await startedMember();
      broker.failNext('offsetCommit', error(name));
      const thrown = await rejectionOf(member.membership.commit(member.rows(7)));
      expect(thrown).toBeInstanceOf(RebalanceError);
      expect(thrown).toMatchObject({ group: 'g', topic: 't', partition: 0 });
      expect((thrown as Error).message).toContain('a longer sessionTimeoutMs');
      await until(() => member.toldOf('assigned').length === 2);
      expect(member.toldOf('lost')).toHaveLength(1);
    },
  );

  it('for a partition that another member has names it, and costs nothing', async () => {
    const member = await startedMember();
    broker.failNext('offsetCommit', error('NOT_PARTITION_OWNER'));
    const thrown = await rejectionOf(member.membership.commit(member.rows(7).slice(2)));
    expect(thrown).toBeInstanceOf(RebalanceError);
    expect((thrown as Error).message).toContain('t-2 was not committed to group "g"');
    // It has merely moved: nothing took too long.
    expect((thrown as Error).message).not.toContain('sessionTimeoutMs');
    expect(member.toldOf('lost')).toEqual([]);
  });

  it('for a partition that it does not own is not even sent', async () => {
    const member = await startedMember();
    const rows = member.rows(7);
    const strange = { topic: 't', topicId: 'f'.repeat(32), partition: 0 };
    const commit = member.membership.commit(rows.map((row) => ({ ...row, ...strange })));
    expect(await rejectionOf(commit)).toBeInstanceOf(RebalanceError);
    expect(broker.callsOf('offsetCommit')).toEqual([]);
  });

  it('of a fenced instance ends the membership', async () => {
    const member = await startedMember('one');
    broker.failNext('offsetCommit', error('FENCED_INSTANCE_ID'));
    const thrown = await rejectionOf(member.membership.commit(member.rows(7)));
    expect(thrown).toBeInstanceOf(FencedInstanceError);
    expect(member.failure).toBeInstanceOf(FencedInstanceError);
  });

  it('for a topic that was deleted says so at once', async () => {
    const member = await startedMember();
    broker.failNext('offsetCommit', error('UNKNOWN_TOPIC_ID'));
    const thrown = await rejectionOf(member.membership.commit(member.rows(7)));
    expect(thrown).toBeInstanceOf(UnknownTopicError);
    expect(thrown).toMatchObject({ topic: 't' });
  });

  it('that is refused for what it is, is refused', async () => {
    const member = await startedMember();
    broker.failNext('offsetCommit', error('OFFSET_METADATA_TOO_LARGE'));
    const thrown = await rejectionOf(member.membership.commit(member.rows(7)));
    expect(thrown).toMatchObject({ code: 'OFFSET_METADATA_TOO_LARGE', topic: 't', partition: 0 });
  });

  it('within a rebalance waits for its end', async () => {
    const member = await startedMember();
    const letGo = new Deferred<undefined>();
    broker.failNext('syncGroup', { kind: 'delay', until: letGo.promise });
    broker.group.rebalance();
    await until(() => broker.callsOf('syncGroup').length === 2);
    // The coordinator is a generation ahead of what the member knows.
    const commit = member.membership.commit(member.rows(7));
    await until(() => broker.callsOf('offsetCommit').length > 0);
    letGo.resolve(undefined);
    await commit;
    expect(broker.group.offsets.size).toBe(4);
    expect(member.toldOf('lost')).toEqual([]);
  });
});

it('commits go in as many requests as their metadata takes', async () => {
  broker.createTopic('wide', 64);
  const member = newMember(broker.port, { topics: ['wide'] });
  await member.membership.start();
  const metadata = 'x'.repeat(32_000);
  await member.membership.commit(member.rows(7).map((row) => ({ ...row, metadata })));
  expect(broker.group.offsets.size).toBe(64);
  const requests = broker.callsOf('offsetCommit').map(({ request }) => request);
  expect(requests.map((each) => (each as OffsetCommitRequest).entries.length)).toEqual([
    24, 24, 16,
  ]);
});

describe('reading offsets', () => {
  it('asks for fewer at a time where the answer is too large', async () => {
    const member = await startedMember();
    const rows = member.rows(0).map((row, index) => ({ ...row, offset: index + 1 }));
    await member.membership.commit(rows);
    broker.intercept = ({ api, request }) =>
      api === 'offsetFetch' && ((request as OffsetFetchRequest).entries?.length ?? 0) > 1
        ? error('LIMIT_EXCEEDED')
        : undefined;
    const positions = await member.membership.fetchOffsets(member.membership.owned);
    expect(positions.map((position) => position?.offset)).toEqual([1, 2, 3, 4]);
  });

  it.each(passing)('goes on after %j', async (fault) => {
    const member = await startedMember();
    broker.failNext('offsetFetch', fault, 2);
    const positions = await member.membership.fetchOffsets(member.membership.owned);
    expect(positions).toEqual([undefined, undefined, undefined, undefined]);
  });
});
