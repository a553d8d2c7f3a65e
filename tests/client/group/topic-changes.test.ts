import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { MetadataRequest } from '@millrace/protocol';
import { Deferred } from '../../../client/src/util/async.js';
import { until } from '../support/harness.js';
import { FakeCoordinator } from './support/fake-coordinator.js';
import { useMembers } from './support/members.js';

const newMember = useMembers();
let broker: FakeCoordinator;

beforeEach(async () => {
  broker = await FakeCoordinator.start();
  broker.createTopic('t', 4);
});
afterEach(() => broker.stop());

/** Holds back the next answers about all topics until the promise resolves. */
function delayLooks(answer: Promise<unknown>): void {
  broker.intercept = ({ api, request }) =>
    api === 'metadata' && (request as MetadataRequest).topics === null
      ? { kind: 'delay', until: answer }
      : undefined;
}

/** Where nobody joins for so many heartbeats, nobody is about to. */
async function rebalancesOver(): Promise<void> {
  for (let joins = -1; joins < broker.callsOf('joinGroup').length;) {
    joins = broker.callsOf('joinGroup').length;
    const beats = broker.callsOf('heartbeat').length;
    await until(() => broker.callsOf('heartbeat').length > beats + 5);
  }
}

describe('a pattern that matches other topics', () => {
  it('is noticed where a rebalance ends during the look', async () => {
    const member = newMember(broker.port, { topics: /./ });
    await member.membership.start();
    const answer = new Deferred<undefined>();
    delayLooks(answer.promise);
    const looks = broker.callsOf('metadata').length;
    const look = member.membership.refreshTopics();
    await until(() => broker.callsOf('metadata').length > looks);
    broker.createTopic('u', 1);
    broker.group.rebalance();
    await until(() => member.membership.generation === 2);
    answer.resolve(undefined);
    await look;
    await until(() => member.owned.length === 5);
  });

  it('is noticed where a rebalance begins during the look and ends after it', async () => {
    const member = newMember(broker.port, { topics: /./ });
    await member.membership.start();
    const answer = new Deferred<undefined>();
    const synced = new Deferred<undefined>();
    delayLooks(answer.promise);
    const looks = broker.intercept;
    broker.intercept = (call) =>
      call.api === 'syncGroup' && call.nth === 2
        ? { kind: 'delay', until: synced.promise }
        : looks?.(call);
    const look = member.membership.refreshTopics();
    broker.createTopic('u', 1);
    broker.group.rebalance();
    await until(() => broker.callsOf('syncGroup').length === 2);
    answer.resolve(undefined);
    await look;
    synced.resolve(undefined);
    await until(() => member.owned.length === 5);
  });
});

describe('a topic that is deleted and made again later', () => {
  it.each([['a list', ['t']] as const, ['a pattern', /^t$/] as const])(
    'is read soon by who subscribes to it by %s',
    async (_, topics) => {
      const member = newMember(broker.port, { topics });
      await member.membership.start();
      broker.topics.delete('t');
      await member.membership.refreshTopics();
      await until(() => member.owned.length === 0 && member.membership.generation >= 2);
      await rebalancesOver();
      broker.createTopic('t', 3);
      await until(() => member.owned.length === 3);
      expect(member.toldOf('lost')).toEqual([]);
    },
  );
});
