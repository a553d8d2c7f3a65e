import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  BrokerError,
  FencedInstanceError,
  MaxPollIntervalExceededError,
  RebalanceError,
} from '@millrace/client';
import { Heartbeats } from '../../../client/src/group/heartbeats.js';
import { Deferred, ignore } from '../../../client/src/util/async.js';
import { rejectionOf, until } from '../support/harness.js';
import { FakeCoordinator } from './support/fake-coordinator.js';
import { cuts, error, passing } from './support/faults.js';
import { useMembers, type TestMember } from './support/members.js';

const done = Promise.resolve();
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

describe('joining goes on after', () => {
  const out = [error('UNKNOWN_MEMBER_ID'), error('REBALANCE_IN_PROGRESS')];
  const cases = [
    ...passing.map((fault) => ['metadata', fault] as const),
    ...passing.map((fault) => ['findCoordinator', fault] as const),
    ...[...passing, ...out].map((fault) => ['joinGroup', fault] as const),
    ...[...passing, ...out, error('ILLEGAL_GENERATION')].map(
      (fault) => ['syncGroup', fault] as const,
    ),
    ...cuts.map((fault) => ['apiVersions', fault] as const),
  ];
  it.each(cases)('%s: %j', async (api, fault) => {
    broker.failNext(api, fault, 2);
    const member = await startedMember();
    expect(member.owned).toHaveLength(4);
    expect(member.toldOf('assigned')).toHaveLength(1);
    expect(member.toldOf('lost')).toEqual([]);
  });
});

describe('joining ends with', () => {
  const final = [
    ['joinGroup', 'INCONSISTENT_GROUP_PROTOCOL', '`assignors`'],
    ['joinGroup', 'INVALID_SESSION_TIMEOUT', '`sessionTimeoutMs`'],
    ['joinGroup', 'INVALID_GROUP_ID', '`group`'],
    ['joinGroup', 'GROUP_MAX_SIZE_REACHED', 'close other members'],
    ['joinGroup', 'INVALID_REQUEST', 'join group "g"'],
    ['syncGroup', 'INVALID_ASSIGNMENT', 'check the assignor'],
    ['syncGroup', 'INVALID_ASSIGNMENT', 'assignor "cooperative-sticky" of this consumer'],
    ['syncGroup', 'INCONSISTENT_GROUP_PROTOCOL', '`assignors`'],
    ['findCoordinator', 'INVALID_GROUP_ID', '`group`'],
  ] as const;
  it.each(final)('%s: %s', async (api, name, words) => {
    // The first look for the coordinator is one ahead of time, whose failure means nothing.
    broker.failNext(api, error(name), 2);
    const member = newMember(broker.port);
    const thrown = await rejectionOf(member.membership.start());
    expect(thrown).toBeInstanceOf(BrokerError);
    expect(thrown).toMatchObject({ code: name });
    expect((thrown as Error).message).toContain(words);
    expect(member.told).toEqual([]);
  });

  it.each(['joinGroup', 'syncGroup'])('%s: FENCED_INSTANCE_ID', async (api) => {
    broker.failNext(api, error('FENCED_INSTANCE_ID'));
    const member = newMember(broker.port, { groupInstanceId: 'one' });
    const thrown = await rejectionOf(member.membership.start());
    expect(thrown).toBeInstanceOf(FencedInstanceError);
    expect(thrown).toMatchObject({ group: 'g', groupInstanceId: 'one' });
  });
});

/** Sends heartbeats of its own as a clock, and resolves when so many of them have come. */
async function beatsOfAnother(count: number): Promise<void> {
  const beats = (): number =>
    broker.callsOf('heartbeat').filter(({ request }) => memberIdOf(request) === 'clock').length;
  const clock = new Heartbeats(ignore);
  clock.apply({
    ...{ type: 'beat', id: 1 },
    member: {
      ...{ group: 'g', memberId: 'clock', generation: 1, groupInstanceId: null, clientId: 'clock' },
      coordinator: { host: '127.0.0.1', port: broker.port },
      ...{ connectTimeoutMs: 5_000, intervalMs: 20, sessionTimeoutMs: 5_000 },
      ...{ maxPollIntervalMs: Infinity, progress: new SharedArrayBuffer(8) },
    },
  });
  await until(() => beats() >= count);
  clock.close();
}

const memberIdOf = (request: unknown): string => (request as { memberId: string }).memberId;

it('a member that is out is not kept alive by heartbeats under its old id', async () => {
  const member = await startedMember();
  const { memberId } = member.membership;
  const beats = (): number =>
    broker.callsOf('heartbeat').filter(({ request }) => memberIdOf(request) === memberId).length;
  await until(() => beats() > 1);
  const answer = new Deferred<undefined>();
  // As of a coordinator that came back since, and knows it still.
  broker.intercept = ({ api, nth }) => {
    if (api === 'offsetCommit' && nth === 1) return error('UNKNOWN_MEMBER_ID');
    return api === 'joinGroup' ? { kind: 'delay', until: answer.promise } : undefined;
  };
  expect(await rejectionOf(member.membership.commit(member.rows(7)))).toBeInstanceOf(
    RebalanceError,
  );
  const before = beats();
  await beatsOfAnother(20);
  // The command takes a moment to reach the thread.
  expect(beats() - before).toBeLessThanOrEqual(3);
  answer.resolve(undefined);
  await until(() => member.toldOf('assigned').length === 2);
  const again = broker.callsOf('heartbeat').length;
  await until(() => broker.callsOf('heartbeat').length > again + 2);
});

describe('a heartbeat that is answered', () => {
  it('REBALANCE_IN_PROGRESS makes it join again and costs nothing', async () => {
    const member = await startedMember();
    broker.group.rebalance();
    await until(() => broker.group.generation === 2 && member.membership.generation === 2);
    expect(member.owned).toHaveLength(4);
    expect(member.told).toHaveLength(1);
  });

  it.each(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'] as const)(
    '%s costs everything, and it joins afresh',
    async (name) => {
      const member = await startedMember();
      const before = member.owned;
      broker.failNext('heartbeat', error(name));
      await until(() => member.toldOf('assigned').length === 2);
      expect(member.told.map(({ type }) => type)).toEqual(['assigned', 'lost', 'assigned']);
      expect(member.toldOf('lost')).toEqual([before]);
      expect(member.owned).toEqual(before);
    },
  );

  it('FENCED_INSTANCE_ID ends it', async () => {
    const member = await startedMember('one');
    broker.failNext('heartbeat', error('FENCED_INSTANCE_ID'));
    await until(() => member.failure !== undefined);
    expect(member.failure).toBeInstanceOf(FencedInstanceError);
    expect(member.owned).toEqual([]);
    await expect(member.membership.commit(member.rows(1))).resolves.toBeUndefined();
  });

  it.each(passing)('%j costs nothing', async (fault) => {
    const member = await startedMember();
    broker.failNext('heartbeat', fault, 3);
    const before = broker.callsOf('heartbeat').length;
    await until(() => broker.callsOf('heartbeat').length > before + 6);
    expect(member.told).toHaveLength(1);
    expect(member.membership.generation).toBe(1);
  });
});

describe('a coordinator that restarts', () => {
  it('costs nothing', async () => {
    const member = await startedMember();
    await broker.stop();
    const commit = member.membership.commit(member.rows(7));
    const before = broker.callsOf('heartbeat').length;
    await broker.listen();
    await commit;
    await until(() => broker.callsOf('heartbeat').length > before + 2);
    expect(member.told).toHaveLength(1);
    expect(member.membership.generation).toBe(1);
  });

  it('while a member joins keeps it waiting', async () => {
    await broker.stop();
    const member = newMember(broker.port);
    const start = member.membership.start();
    await until(() => member.events.some(({ type }) => type === 'retry'));
    await broker.listen();
    await start;
    expect(member.owned).toHaveLength(4);
  });
});

describe('what is lost', () => {
  it('is cut off at once, though another callback runs, and cannot be committed', async () => {
    const member = newMember(broker.port);
    const letGo = new Deferred<undefined>();
    member.during = (type) => (type === 'assigned' ? letGo.promise.then(ignore) : done);
    const started = member.membership.start();
    await until(() => member.toldOf('assigned').length === 1);
    const rows = member.rows(7);
    broker.failNext('heartbeat', error('UNKNOWN_MEMBER_ID'));
    await until(() => member.cutOff.length === 1);
    expect(member.cutOff).toEqual([['t-0', 't-1', 't-2', 't-3']]);
    expect(member.toldOf('lost')).toEqual([]);
    // Back again, but not yet told.
    await until(() => member.owned.length === 4 && member.membership.generation > 0);
    expect(await rejectionOf(member.membership.commit(rows))).toBeInstanceOf(RebalanceError);
    letGo.resolve(undefined);
    await started;
    await until(() => member.toldOf('assigned').length === 2);
    expect(member.told.map(({ type }) => type)).toEqual(['assigned', 'lost', 'assigned']);
    expect(broker.group.offsets.size).toBe(0);
  });
});

describe('a static member', () => {
  it('leaves only when told to, also after its end', async () => {
    const member = await startedMember('one');
    await member.membership.leave();
    expect(broker.group.left).toEqual([]);
    await member.membership.leave({ leave: true });
    expect(broker.group.left).toMatchObject([{ memberId: 'member-1' }]);
    await member.membership.leave({ leave: true });
    expect(broker.group.left).toHaveLength(1);
  });
});

describe('a listener that throws', () => {
  it.each(['assigned', 'revoked', 'lost'] as const)('from %s ends the membership', async (type) => {
    const member = await startedMember();
    const thrown = new Error('from the application');
    member.during = (told) => (told === type ? Promise.reject(thrown) : Promise.resolve());
    broker.failNext('heartbeat', error('UNKNOWN_MEMBER_ID'));
    if (type === 'revoked') {
      broker.intercept = undefined;
      await newMember(broker.port).membership.start();
    }
    await until(() => member.failure !== undefined);
    expect(member.failure?.cause).toBe(thrown);
    expect(member.owned).toEqual([]);
    await until(() => broker.group.left.length > 0 || type === 'lost');
  });
});

describe('maxPollIntervalMs', () => {
  it('exceeded leaves the group and is an error that says so', async () => {
    const member = newMember(broker.port, { maxPollIntervalMs: 50 });
    await member.membership.start();
    member.membership.handling();
    await until(() => member.failure !== undefined);
    expect(member.failure).toBeInstanceOf(MaxPollIntervalExceededError);
    expect(member.failure).toMatchObject({ group: 'g', maxPollIntervalMs: 50 });
    expect(member.failure?.message).toContain('maxPollIntervalMs (50 ms)');
    expect(broker.group.left).toMatchObject([{ memberId: 'member-1' }]);
    expect(broker.group.left[0]?.reason).toContain('maxPollIntervalMs');
    expect(member.owned).toEqual([]);
  });

  it('is about one message, not about many', async () => {
    const member = newMember(broker.port, { maxPollIntervalMs: 300 });
    await member.membership.start();
    const endMs = performance.now() + 1_000;
    while (performance.now() < endMs) {
      member.membership.handling();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(member.failure).toBeUndefined();
  });

  it('does not count while the application waits for a message', async () => {
    const member = newMember(broker.port, { maxPollIntervalMs: 20 });
    await member.membership.start();
    member.membership.handling();
    member.membership.idle();
    const before = broker.callsOf('heartbeat').length;
    await until(() => broker.callsOf('heartbeat').length > before + 10);
    expect(member.failure).toBeUndefined();
  });

  it('counts hooks, too, and names the one that is stuck', async () => {
    const member = newMember(broker.port, { maxPollIntervalMs: 50 });
    await member.membership.start();
    member.membership.busyWith('the revoked hook of t-3');
    // Other partitions are read on meanwhile.
    member.membership.idle();
    await until(() => member.failure !== undefined);
    expect(member.failure).toBeInstanceOf(MaxPollIntervalExceededError);
    expect(member.failure?.message).toContain('The revoked hook of t-3 took longer than');
    expect(broker.group.left[0]?.reason).toContain('one hook took longer');
  });

  it('does not count hooks that have ended', async () => {
    const member = newMember(broker.port, { maxPollIntervalMs: 20 });
    await member.membership.start();
    member.membership.busyWith('the assigned hook of t-0');
    member.membership.doneWith();
    const before = broker.callsOf('heartbeat').length;
    await until(() => broker.callsOf('heartbeat').length > before + 10);
    expect(member.failure).toBeUndefined();
  });

  it('of 0 is for ever', async () => {
    const member = newMember(broker.port, { maxPollIntervalMs: 0 });
    await member.membership.start();
    member.membership.handling();
    const before = broker.callsOf('heartbeat').length;
    await until(() => broker.callsOf('heartbeat').length > before + 10);
    expect(member.failure).toBeUndefined();
  });
});
