import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  decodeSubscription,
  type HeartbeatRequest,
  type JoinGroupRequest,
} from '@millrace/protocol';
import { UnknownTopicError } from '@millrace/client';
import { Deferred } from '../../../client/src/util/async.js';
import { rejectionOf, until } from '../support/harness.js';
import { FakeCoordinator } from './support/fake-coordinator.js';
import { useMembers, type TestMember } from './support/members.js';

const newMember = useMembers();
let broker: FakeCoordinator;

beforeEach(async () => {
  broker = await FakeCoordinator.start();
  broker.createTopic('t', 4);
});
afterEach(() => broker.stop());

/** The joins of a member that had its id. */
function joinsOf(memberId: string): JoinGroupRequest[] {
  const joins = broker.callsOf('joinGroup').map(({ request }) => request as JoinGroupRequest);
  return joins.filter((join) => join.memberId === memberId);
}

/** Resolves when the member's next heartbeat has come. */
async function anotherHeartbeat({ membership }: TestMember): Promise<void> {
  const beats = (): number =>
    broker
      .callsOf('heartbeat')
      .filter(({ request }) => (request as HeartbeatRequest).memberId === membership.memberId)
      .length;
  const before = beats();
  await until(() => beats() > before);
}

/** What the last join of a member told as owned. */
function lastClaim(memberId: string): string[] {
  const last = joinsOf(memberId).at(-1);
  const [protocol] = last?.protocols ?? [];
  if (protocol === undefined) throw new Error('it has not joined');
  const { owned } = decodeSubscription(protocol.metadata);
  return owned.flatMap(({ topic, partitions }) => partitions.map((each) => `${topic}-${each}`));
}

function isShared(members: readonly TestMember[], each: number): boolean {
  return members.every(({ owned }) => owned.length === each);
}

describe('a first member', () => {
  it('gets everything', async () => {
    const member = newMember(broker.port);
    await member.membership.start();
    expect(member.owned).toEqual(['t-0', 't-1', 't-2', 't-3']);
    expect(member.told).toEqual([{ type: 'assigned', partitions: member.owned }]);
    expect(member.membership.memberId).toBe('member-1');
    expect(member.membership.generation).toBe(1);
  });

  it('has started when its listener has', async () => {
    const ready = new Deferred<undefined>();
    const member = newMember(broker.port);
    member.during = () => ready.promise;
    let started = false;
    const start = member.membership.start().then(() => (started = true));
    await until(() => member.told.length > 0);
    expect(started).toBe(false);
    ready.resolve(undefined);
    await start;
  });

  it('is told of an assignment of nothing', async () => {
    const member = newMember(broker.port, { topics: /^nothing/ });
    await member.membership.start();
    expect(member.told).toEqual([{ type: 'assigned', partitions: [] }]);
  });

  it('refuses to start where a topic does not exist, and says what to do', async () => {
    const member = newMember(broker.port, { topics: ['t', 'missing'] });
    const error = await rejectionOf(member.membership.start());
    expect(error).toBeInstanceOf(UnknownTopicError);
    expect((error as Error).message).toContain('"missing"; create it');
    expect(member.told).toEqual([]);
  });

  it('ends with the reason of its signal', async () => {
    const controller = new AbortController();
    broker.intercept = ({ api }) => (api === 'joinGroup' ? { kind: 'cut' } : undefined);
    const member = newMember(broker.port, { signal: controller.signal });
    const start = rejectionOf(member.membership.start());
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await start).toBe(reason);
  });
});

describe('a second member, cooperative', () => {
  it('gets its share after the first has let go of it, which keeps the rest', async () => {
    const first = newMember(broker.port);
    await first.membership.start();
    const second = newMember(broker.port);
    const letGo = new Deferred<undefined>();
    first.during = () => letGo.promise;
    await second.membership.start();
    await until(() => first.toldOf('revoked').length > 0);
    expect(second.owned).toEqual([]);
    expect(first.owned).toHaveLength(4);
    letGo.resolve(undefined);
    await until(() => isShared([first, second], 2));
    expect(first.toldOf('revoked')).toEqual([second.owned]);
    expect(first.toldOf('assigned')).toHaveLength(1);
    expect(first.toldOf('lost')).toEqual([]);
  });

  it('does not wait for what is given up slowly when a third one joins', async () => {
    const first = newMember(broker.port);
    await first.membership.start();
    const letGo = new Deferred<undefined>();
    first.during = (type) => (type === 'revoked' ? letGo.promise : Promise.resolve());
    const second = newMember(broker.port);
    await second.membership.start();
    await until(() => first.toldOf('revoked').length > 0);
    const third = newMember(broker.port);
    await third.membership.start();
    expect(lastClaim(first.membership.memberId)).toHaveLength(4);
    expect(first.owned).toHaveLength(4);
    letGo.resolve(undefined);
    await until(() => second.owned.length + third.owned.length >= 2);
    await until(() => first.owned.length <= 2);
    const all = [first, second, third].flatMap(({ owned }) => owned);
    expect(new Set(all).size).toBe(all.length);
  });

  it('takes over at once when the first one leaves', async () => {
    const first = newMember(broker.port);
    const second = newMember(broker.port);
    await first.membership.start();
    await second.membership.start();
    await until(() => isShared([first, second], 2));
    await first.membership.leave();
    await until(() => second.owned.length === 4);
    expect(second.toldOf('revoked')).toEqual([]);
    expect(first.owned).toEqual([]);
  });
});

it('gives everything up before it rejoins where an assignor is eager', async () => {
  const first = newMember(broker.port, { assignors: ['sticky', 'cooperative-sticky'] });
  await first.membership.start();
  const before = first.owned;
  const rows = first.rows(1);
  const letGo = new Deferred<undefined>();
  first.during = (type) => (type === 'revoked' ? letGo.promise : Promise.resolve());
  const second = newMember(broker.port, { assignors: ['sticky', 'cooperative-sticky'] });
  const started = second.membership.start();
  await until(() => first.toldOf('revoked').length > 0);
  expect(first.toldOf('revoked')).toEqual([before]);
  expect(second.owned).toEqual([]);
  // A look at the topics must not give back what it is giving up.
  await first.membership.refreshTopics();
  // Nor are a heartbeat and a commit that are refused meanwhile a reason to join once more than it does.
  await anotherHeartbeat(first);
  broker.failNext('offsetCommit', { kind: 'error', name: 'REBALANCE_IN_PROGRESS' });
  await first.membership.commit(rows);
  letGo.resolve(undefined);
  await started;
  await until(() => isShared([first, second], 2));
  expect(lastClaim(first.membership.memberId)).toEqual([]);
  expect(first.toldOf('assigned')).toEqual([before, first.owned]);
  // It was told in the user data what it had, so it keeps the lower half.
  expect(first.owned).toEqual(['t-0', 't-1']);
  await anotherHeartbeat(first);
  // With its first id, and for the second member.
  expect(joinsOf(first.membership.memberId)).toHaveLength(2);
});

describe('leaving', () => {
  it('says goodbye once, and tells the listener nothing', async () => {
    const member = newMember(broker.port);
    await member.membership.start();
    await Promise.all([member.membership.leave(), member.membership.leave()]);
    expect(broker.group.left).toEqual([
      { memberId: 'member-1', reason: 'The consumer was closed' },
    ]);
    expect(member.told).toHaveLength(1);
  });

  it('is not what a static member does', async () => {
    const member = newMember(broker.port, { groupInstanceId: 'one' });
    await member.membership.start();
    await member.membership.leave();
    expect(broker.group.left).toEqual([]);
  });

  it('ends a join that waits, and gets out of it', async () => {
    const first = newMember(broker.port);
    await first.membership.start();
    const never = new Deferred<undefined>();
    const { memberId } = first.membership;
    // The first member does not come back, so that the second one's join waits.
    broker.intercept = ({ api, request }) =>
      api === 'heartbeat' && (request as { memberId: string }).memberId === memberId
        ? { kind: 'delay', until: never.promise }
        : undefined;
    const second = newMember(broker.port);
    const start = rejectionOf(second.membership.start());
    await until(() => broker.group.members.size === 2);
    await second.membership.leave();
    expect(broker.group.left.map(({ memberId: id }) => id)).toEqual(['member-2']);
    expect(await start).toMatchObject({ code: 'CLOSED' });
    never.resolve(undefined);
  });

  it('ends where no broker is', async () => {
    const member = newMember(broker.port);
    await member.membership.start();
    await broker.stop();
    await member.membership.leave();
    expect(member.owned).toEqual([]);
  });
});

describe('topics that change', () => {
  it('are shared out anew when they grow', async () => {
    const member = newMember(broker.port, { metadataMaxAgeMs: 10 });
    await member.membership.start();
    broker.topics.set('t', { id: broker.topics.get('t')?.id ?? '', partitions: 6 });
    await until(() => member.owned.length === 6);
    expect(member.toldOf('assigned')[1]).toEqual(['t-4', 't-5']);
    expect(member.toldOf('revoked')).toEqual([]);
  });

  it('are revoked with a warning when they are deleted', async () => {
    broker.createTopic('u', 1);
    const member = newMember(broker.port, { topics: ['t', 'u'], metadataMaxAgeMs: 10 });
    await member.membership.start();
    broker.topics.delete('t');
    await until(() => member.owned.length === 1);
    expect(member.toldOf('revoked')).toEqual([['t-0', 't-1', 't-2', 't-3']]);
    const warnings = member.events.filter(({ type }) => type === 'warning');
    expect(warnings).toMatchObject([{ error: { topic: 't', name: 'UnknownTopicError' } }]);
  });

  it('are others when they were made anew', async () => {
    const member = newMember(broker.port);
    await member.membership.start();
    const [before] = member.membership.owned;
    broker.topics.delete('t');
    broker.createTopic('t', 4);
    await member.membership.refreshTopics();
    await until(() => member.toldOf('assigned').length === 2);
    expect(member.toldOf('revoked')).toEqual([['t-0', 't-1', 't-2', 't-3']]);
    await until(() => member.owned.length === 4);
    expect(member.membership.owned[0]?.topicId).not.toBe(before?.topicId);
  });

  it('join when they come to match the pattern, internal ones excepted', async () => {
    const member = newMember(broker.port, { topics: /./g, metadataMaxAgeMs: 10 });
    await member.membership.start();
    broker.createTopic('__offsets', 1);
    broker.createTopic('u', 1);
    await until(() => member.owned.length === 5);
    expect(member.toldOf('assigned')[1]).toEqual(['u-0']);
  });
});
