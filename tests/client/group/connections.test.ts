import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Membership } from '../../../client/src/group/membership.js';
import { GroupPurposes } from '../../../client/src/net/group-purposes.js';
import { Deferred } from '../../../client/src/util/async.js';
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

describe('members that share a connection', () => {
  it('are a hundred at most, and one that is gone makes room', () => {
    const purposes = new GroupPurposes();
    const taken = Array.from({ length: 250 }, () => purposes.take());
    expect(taken.filter((purpose) => purpose === 'group')).toHaveLength(100);
    expect(taken.filter((purpose) => purpose === 'group-2')).toHaveLength(100);
    expect(taken.at(-1)).toBe('group-3');
    purposes.release('group-2');
    expect([purposes.take(), purposes.take()]).toEqual(['group-2', 'group-3']);
  });

  it('are so few that joins that wait hold up no other, and no leave', async () => {
    const answers = new Deferred<undefined>();
    broker.intercept = ({ api }) =>
      api === 'joinGroup' ? { kind: 'delay', until: answers.promise } : undefined;
    const first = newMember(broker.port);
    const members = Array.from(
      { length: 150 },
      () => new Membership(first.cluster, { group: 'g', topics: ['t'] }, first),
    );
    const started = members.map((member) => rejectionOf(member.start()));
    await until(() => broker.callsOf('joinGroup').length === 150);
    const counts = new Map<number, number>();
    for (const { connection } of broker.callsOf('joinGroup')) {
      counts.set(connection, (counts.get(connection) ?? 0) + 1);
    }
    expect([...counts.values()]).toEqual([100, 50]);
    const left = members.map((member) => member.leave());
    answers.resolve(undefined);
    await Promise.all([...left, ...started]);
    expect(broker.group.left).toHaveLength(150);
  });
});

describe('leaving during the first join', () => {
  it('gives back the id that its answer brings', async () => {
    const answer = new Deferred<undefined>();
    broker.failNext('joinGroup', { kind: 'delay', until: answer.promise });
    const member = newMember(broker.port);
    const start = rejectionOf(member.membership.start());
    await until(() => broker.callsOf('joinGroup').length === 1);
    const left = member.membership.leave();
    answer.resolve(undefined);
    await left;
    expect(broker.group.left.map(({ memberId }) => memberId)).toEqual(['member-1']);
    expect(broker.callsOf('joinGroup')).toHaveLength(1);
    expect(await start).toMatchObject({ code: 'CLOSED' });
  });
});

describe('a coordinator that cannot be found', () => {
  it('for a reason that does not pass is told of once, and looked for again', async () => {
    const member = newMember(broker.port);
    await member.membership.start();
    const before = broker.callsOf('findCoordinator').length;
    broker.intercept = ({ api, nth }) => {
      if (api === 'heartbeat') return { kind: 'cut' };
      if (api !== 'findCoordinator' || nth > before + 2) return undefined;
      return error('INVALID_REQUEST');
    };
    await until(() => broker.callsOf('findCoordinator').length > before + 2);
    const warnings = member.events.filter(({ type }) => type === 'warning');
    expect(warnings).toMatchObject([{ error: { code: 'INVALID_REQUEST' } }]);
    expect(member.failure).toBeUndefined();
  });
});
