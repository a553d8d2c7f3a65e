import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { RebalanceError } from '@millrace/client';
import { Deferred } from '../../../client/src/util/async.js';
import { rejectionOf, until } from '../support/harness.js';
import { FakeCoordinator } from './support/fake-coordinator.js';
import { useMembers } from './support/members.js';

const newMember = useMembers();
let broker: FakeCoordinator;

beforeEach(async () => {
  broker = await FakeCoordinator.start();
  broker.createTopic('t', 4);
});
afterEach(() => broker.stop());

it('a commit from before a member was thrown out is not tried again when it is back', async () => {
  const member = newMember(broker.port, {});
  await member.membership.start();
  const before = member.membership.memberId;
  const arrives = new Deferred<undefined>();
  broker.failNext('offsetCommit', { kind: 'delay', until: arrives.promise });
  const stale = rejectionOf(member.membership.commit(member.rows(7)));
  await until(() => broker.callsOf('offsetCommit').length === 1);
  broker.group.kick(before);
  await until(() => member.toldOf('assigned').length === 2);
  // The same partitions, and others may have read them meanwhile.
  expect(member.membership.owned).toHaveLength(4);
  await member.membership.commit(member.rows(9));
  arrives.resolve(undefined);
  expect(await stale).toBeInstanceOf(RebalanceError);
  expect(new Set([...broker.group.offsets.values()].map(({ offset }) => offset))).toEqual(
    new Set([9]),
  );
});

it('a commit counts for nothing before the listener knows that its partitions are back', async () => {
  const member = newMember(broker.port, {});
  await member.membership.start();
  const told = new Deferred<undefined>();
  member.during = (type) => (type === 'lost' ? told.promise : Promise.resolve(undefined));
  const { generation } = member.membership;
  broker.group.kick(member.membership.memberId);
  await until(() => member.membership.generation > generation);
  expect(member.membership.owned).toHaveLength(4);
  const early = member.membership.commit(member.rows(7));
  expect(await rejectionOf(early)).toBeInstanceOf(RebalanceError);
  told.resolve(undefined);
  await until(() => member.toldOf('assigned').length === 2);
  await member.membership.commit(member.rows(8));
  expect(broker.group.offsets.size).toBe(4);
});
