import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  CONSUMER_PROTOCOL_TYPE,
  createPartitionsApi,
  createTopicsApi,
  encodeSubscription,
  joinGroupApi,
  type JoinGroupResponse,
} from '@millrace/protocol';
import { MaxPollIntervalExceededError } from '@millrace/client';
import { BrokerProcess } from '../../support/broker-process.js';
import { seededRandom, testSeed } from '../../support/seed.js';
import { makeTempDir } from '../../support/temp-dir.js';
import { until } from '../support/harness.js';
import { useMembers, type TestMember } from './support/members.js';

const PARTITIONS = 12;
const seed = testSeed();
const newMember = useMembers();
let directory: Awaited<ReturnType<typeof makeTempDir>>;
let broker: BrokerProcess;
let port: number;

beforeAll(async () => {
  directory = await makeTempDir();
  broker = await BrokerProcess.start(directory.path);
  port = Number(broker.address.split(':')[1]);
  const member = newMember(port);
  const topics = [{ name: 't', partitions: PARTITIONS, config: [] }];
  await member.cluster.ask(createTopicsApi, { topics, timeoutMs: 10_000 });
  await member.close();
});
afterAll(async () => {
  await broker.kill();
  await directory.remove();
});

/** Keeps the thread busy, as a handler that computes does. */
function block(forMs: number): void {
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs);
}

/** Notes who owns what at every moment, and what had two owners. */
class Referee {
  readonly owners = new Map<string, TestMember>();
  readonly violations: string[] = [];

  watch(member: TestMember): void {
    member.during = async (type, partitions) => {
      // Giving up takes a moment, in which others join and leave.
      if (type === 'revoked') await new Promise((resolve) => setTimeout(resolve, 5));
      for (const { partition } of partitions) this.#note(`t-${partition}`, type, member);
    };
  }

  leaves(member: TestMember): void {
    for (const [name, owner] of this.owners) if (owner === member) this.owners.delete(name);
  }

  #note(name: string, type: string, member: TestMember): void {
    const owner = this.owners.get(name);
    if (type === 'assigned') {
      if (owner !== undefined) this.violations.push(name);
      this.owners.set(name, member);
    } else if (owner === member) this.owners.delete(name);
  }
}

describe('members that come and go', () => {
  it.each(['cooperative-sticky', 'range'] as const)(
    'never own a partition together, and own all in the end (%s)',
    async (assignor) => {
      const random = seededRandom(seed);
      const referee = new Referee();
      const members: TestMember[] = [];
      const group = `churn-${assignor}`;
      for (let step = 0; step < 14; step += 1) {
        if (members.length < 2 || (members.length < 5 && random() < 0.6)) {
          const member = newMember(port, { group, assignors: [assignor] });
          referee.watch(member);
          members.push(member);
          const started = member.membership.start();
          if (random() < 0.5) await started;
        } else {
          const [member] = members.splice(Math.floor(random() * members.length), 1);
          if (member === undefined) continue;
          await member.membership.start();
          referee.leaves(member);
          // From here on it must not be told of anything new.
          member.during = undefined;
          await member.close();
        }
      }
      await until(() => isBalanced(members) && referee.owners.size === PARTITIONS);
      expect(referee.violations).toEqual([]);
      for (const member of members) expect(member.toldOf('lost')).toEqual([]);
    },
  );

  function isBalanced(members: readonly TestMember[]): boolean {
    const loads = members.map(({ owned }) => owned.length);
    const total = loads.reduce((sum, load) => sum + load, 0);
    return total === PARTITIONS && Math.max(...loads) - Math.min(...loads) <= 1;
  }
});

describe('a main thread that is busy', () => {
  it('for longer than the session costs nothing', async () => {
    const options = { group: 'busy', sessionTimeoutMs: 2_000, heartbeatIntervalMs: 200 };
    const members = [newMember(port, options), newMember(port, options)];
    for (const member of members) await member.membership.start();
    await until(() => members.every(({ owned }) => owned.length === PARTITIONS / 2));
    const generations = members.map(({ membership }) => membership.generation);
    const told = members.map((member) => member.told.length);
    block(5_000);
    // Answers from before, if any, are in by the time that these are.
    for (const member of members) await member.membership.commit(member.rows(1));
    expect(members.map(({ membership }) => membership.generation)).toEqual(generations);
    expect(members.map((member) => member.told.length)).toEqual(told);
  });

  it('for longer than maxPollIntervalMs ends the membership by name', async () => {
    const member = newMember(port, { group: 'stuck', maxPollIntervalMs: 300 });
    await member.membership.start();
    member.membership.handling();
    // Its thread must have heard of the message before this one is gone for a while.
    block(2_000);
    await until(() => member.failure !== undefined);
    expect(member.failure).toBeInstanceOf(MaxPollIntervalExceededError);
    const next = newMember(port, { group: 'stuck' });
    await next.membership.start();
    expect(next.owned).toHaveLength(PARTITIONS);
  });
});

describe('a member that dies', () => {
  it('between join and sync holds up the others for its session only', async () => {
    const group = 'halfway';
    const first = newMember(port, { group });
    await first.membership.start();
    const ghost = newMember(port, { group });
    const joined = ghostJoins(ghost, group);
    await until(() => first.membership.generation >= 2 || first.told.length > 1);
    await joined;
    ghost.cluster.pool.close();
    await until(() => first.membership.generation >= 3 && first.owned.length === PARTITIONS);
    expect(first.toldOf('lost')).toEqual([]);
  });

  /** Joins with a session of a second, and never syncs. */
  async function ghostJoins(member: TestMember, groupId: string): Promise<JoinGroupResponse> {
    const connection = await member.cluster.pool.get('group', { host: '127.0.0.1', port });
    const metadata = encodeSubscription({
      topics: ['t'],
      userData: null,
      owned: [],
      generation: -1,
      rackId: null,
    });
    const request = {
      ...{ groupId, memberId: '', groupInstanceId: null, clientId: 'ghost' },
      ...{ sessionTimeoutMs: 1_000, rebalanceTimeoutMs: 1_000 },
      protocolType: CONSUMER_PROTOCOL_TYPE,
      protocols: [{ name: 'cooperative-sticky', metadata }],
    };
    const limits = { timeoutMs: 10_000 };
    const { response } = await connection.request(joinGroupApi, request, limits);
    const { memberId } = response;
    return (await connection.request(joinGroupApi, { ...request, memberId }, limits)).response;
  }
});

describe('a static leader that comes back', () => {
  it('shares out the partitions that its topic got meanwhile, and only then', async () => {
    const options = { group: 'static', groupInstanceId: 'one', topics: ['grows'] };
    const topics = [{ name: 'grows', partitions: 2, config: [] }];
    const before = newMember(port, options);
    await before.cluster.ask(createTopicsApi, { topics, timeoutMs: 10_000 });
    await before.membership.start();
    const { generation } = before.membership;
    await before.close();
    const same = newMember(port, options);
    await same.membership.start();
    await same.membership.commit(same.rows(1));
    expect(same.membership.generation).toBe(generation);
    const more = [{ name: 'grows', partitions: 5 }];
    await same.close();
    const after = newMember(port, options);
    await after.cluster.ask(createPartitionsApi, { topics: more, timeoutMs: 10_000 });
    await after.membership.start();
    await until(() => after.owned.length === 5);
    expect(after.toldOf('lost')).toEqual([]);
  });
});

describe('a broker that is killed and started again', () => {
  it('costs no rebalance, and loses no commit', async () => {
    const members = [newMember(port, { group: 'restart' }), newMember(port, { group: 'restart' })];
    for (const member of members) await member.membership.start();
    await until(() => members.every(({ owned }) => owned.length === PARTITIONS / 2));
    for (const member of members) await member.membership.commit(member.rows(5));
    const generations = members.map(({ membership }) => membership.generation);
    const told = members.map((member) => member.told.length);
    await broker.kill();
    broker = await BrokerProcess.start(directory.path, ['--listen', `127.0.0.1:${port}`]);
    for (const { membership } of members) {
      const positions = await membership.fetchOffsets(membership.owned);
      expect(new Set(positions.map((position) => position?.offset))).toEqual(new Set([5]));
    }
    for (const member of members) await member.membership.commit(member.rows(6));
    expect(members.map(({ membership }) => membership.generation)).toEqual(generations);
    expect(members.map((member) => member.told.length)).toEqual(told);
  });
});
