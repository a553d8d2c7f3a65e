import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { BrokerError } from '@millrace/client';
import { ProtocolError, offsetCommitApi, type OffsetCommitRequest } from '@millrace/protocol';
import { parseAddress } from '../../client/src/net/address.js';
import { ConnectionPool } from '../../client/src/net/connection-pool.js';
import {
  ENDLESS_SESSION_MS,
  PARTITIONS,
  SHORT_SESSION_MS,
  useGroup,
} from './support/group-fixture.js';
import { until } from './support/reader.js';

const group = useGroup();
let pool: ConnectionPool;

beforeEach(() => {
  const reconnectBackoff = { initialMs: 10, maximumMs: 100 };
  const onEvent = (): void => undefined;
  pool = new ConnectionPool({
    clientId: 'stranger',
    connectTimeoutMs: 5_000,
    reconnectBackoff,
    onEvent,
  });
});
afterEach(() => pool.close());

/** Commits 1 for all partitions; the name of the error of each, or of the whole. */
async function commitAs(member: Pick<OffsetCommitRequest, 'memberId' | 'generation'>) {
  const connection = await pool.get('admin', parseAddress(group().broker.address));
  const { topicId, partitions } = await group().client.admin.describeTopic('t');
  const entries = partitions.map(({ partition }) => ({
    ...{ topicId, partition, offset: 1, leaderEpoch: -1, metadata: null },
  }));
  const request = { groupId: 'g', groupInstanceId: null, ...member, entries };
  try {
    const { response } = await connection.request(offsetCommitApi, request, { timeoutMs: 5_000 });
    return response.entries.map(({ errorCode, errorMessage }) =>
      errorCode === 0 ? 'stored' : ProtocolError.fromCode(errorCode, errorMessage).errorName,
    );
  } catch (error) {
    return (error as BrokerError).code;
  }
}

test('a member that was stopped for longer than its session is thrown out, told so, and back', async () => {
  const child = await group().fork({ sessionTimeoutMs: SHORT_SESSION_MS });
  const first = await child.until('it is assigned some', ({ type }) => type === 'assigned');
  expect(await commitAs(first)).toEqual(['stored', 'stored', 'stored', 'stored']);
  child.suspend();
  const other = group().read();
  await until(() => other.owned.length === PARTITIONS);
  expect(await commitAs(first)).toBe('UNKNOWN_MEMBER_ID');

  const from = child.told.length;
  child.goOn();
  const lost = await child.until('it is told of its loss', ({ type }) => type === 'lost', from);
  expect(lost.partitions).toHaveLength(PARTITIONS);
  const { memberId } = await child.until(
    'it has joined again',
    (told) => told.type === 'joined' && told.memberId !== first.memberId,
    from,
  );
  await group().stable(2);
  await until(() => other.owned.length === PARTITIONS / 2);
  await group().stable(2);
  const { generation, members } = await group().client.admin.describeGroup('g');
  expect(await commitAs({ memberId, generation: generation - 1 })).toBe('ILLEGAL_GENERATION');
  const mine = members.find((member) => member.memberId === memberId)?.partitions ?? [];
  const owned = new Set(mine.map(({ partition }) => partition));
  expect(await commitAs({ memberId, generation })).toEqual(
    [0, 1, 2, 3].map((partition) => (owned.has(partition) ? 'stored' : 'NOT_PARTITION_OWNER')),
  );
});

test('strangers commit nothing to a group that has members', async () => {
  const reader = group().read();
  await until(() => reader.owned.length === PARTITIONS);
  expect(await commitAs({ memberId: 'nobody', generation: 1 })).toBe('UNKNOWN_MEMBER_ID');
  expect(await commitAs({ memberId: '', generation: -1 })).toBe('NON_EMPTY_GROUP');
  await reader.consumer.close();
  expect(await commitAs({ memberId: '', generation: -1 })).toEqual(
    Array.from({ length: PARTITIONS }, () => 'stored'),
  );
});

test('a session out of bounds is refused with the bounds', async () => {
  for (const sessionTimeoutMs of [10, 3 * ENDLESS_SESSION_MS + 1]) {
    const reader = group().read({ sessionTimeoutMs });
    await reader.ended;
    expect(reader.failure).toMatchObject({ code: 'INVALID_SESSION_TIMEOUT' });
    expect(String(reader.failure)).toMatch(/from 1000 to 1800000 ms/);
  }
});

test('a member with no assignor in common is refused, and the others go on', async () => {
  const reader = group().read({ assignors: ['range'] });
  await until(() => reader.owned.length === PARTITIONS);
  const stranger = group().read({ assignors: ['sticky'] });
  await stranger.ended;
  expect(stranger.failure).toMatchObject({ code: 'INCONSISTENT_GROUP_PROTOCOL' });
  await group().produce(0, 8);
  await until(() => reader.values.length === 8);
});

test('nobody writes to __offsets by hand', async () => {
  const reader = group().read();
  await until(() => reader.owned.length === PARTITIONS);
  await group().produce(0, 8);
  await group().drained();
  const producer = group().client.producer({ deliveryTimeoutMs: 2_000 });
  await expect(producer.send('__offsets', { key: 'k', value: 'v' })).rejects.toMatchObject({
    cause: { code: 'POLICY_VIOLATION' },
  });
  await expect(group().client.admin.deleteTopic('__offsets')).rejects.toMatchObject({
    code: 'POLICY_VIOLATION',
  });
});
