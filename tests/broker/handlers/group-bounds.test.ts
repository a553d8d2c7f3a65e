import { describe, expect, test } from '@jest/globals';
import { offsetCommitApi, offsetFetchApi, readBatchHeader } from '@millrace/protocol';
import { hostOf, waitWithConnection } from '../../../broker/src/handlers/group-wait.js';
import type { Wait } from '../../../broker/src/handlers/context.js';
import { refuseLargeMembers } from '../../../broker/src/handlers/group-bounds.js';
import { chunksOf, makeBatch } from '../../support/batches.js';
import { openTestStorage, partitionOf } from '../../support/storage.js';
import { appendRaw } from '../groups/support/offsets.js';
import { temporaryDirectory, testBroker, testClient } from '../support/temporary.js';

test('an answer about more members than fit into a header is refused before it is encoded', () => {
  const member = { metadata: Buffer.alloc(10), assignment: Buffer.alloc(10) };
  const group = { members: Array.from({ length: 1_000 }, () => member) };
  const groups = (count: number): (typeof group)[] => Array.from({ length: count }, () => group);
  expect(() => refuseLargeMembers('x', groups(37))).not.toThrow();
  expect(() => refuseLargeMembers('x', groups(38))).toThrow('ask for fewer groups');
  const large = { members: Array.from({ length: 9 }, () => ({ metadata: Buffer.alloc(2 ** 20) })) };
  expect(() => refuseLargeMembers('x', [large])).toThrow('9437184 bytes of metadata');
});

describe('a wait for a group', () => {
  const connection = { remoteAddress: '[::1]:1', waits: new Set<Wait>(), closing: false };
  const untilGone = (gone: AbortSignal): Promise<string> =>
    new Promise((_, reject) => {
      gone.addEventListener('abort', () => reject(gone.reason as Error));
    });

  test('gives its answer, and leaves nothing behind', async () => {
    expect(await waitWithConnection(connection, () => Promise.resolve('yes'))).toBe('yes');
    expect(connection.waits.size).toBe(0);
  });

  test('ends without one when the client is gone', async () => {
    const answer = waitWithConnection(connection, untilGone);
    for (const wait of connection.waits) wait.cancel();
    expect(await answer).toBeUndefined();
    expect(connection.waits.size).toBe(0);
  });

  test('ends with an error when the connection is to close, and does not begin then', async () => {
    const answer = waitWithConnection(connection, untilGone);
    for (const wait of connection.waits) wait.hurry();
    await expect(answer).rejects.toMatchObject({ errorName: 'SHUTTING_DOWN' });
    const closing = { ...connection, closing: true };
    const late = waitWithConnection(closing, () => Promise.resolve('yes'));
    await expect(late).rejects.toMatchObject({ errorName: 'SHUTTING_DOWN' });
  });

  test('is of a host that people know again', () => {
    const addresses = ['127.0.0.1:5000', '::ffff:10.0.0.1:5000', '::1:5000'];
    expect(addresses.map(hostOf)).toEqual(['127.0.0.1', '10.0.0.1', '::1']);
  });
});

test('a broker starts over what was written into __offsets by hand, and other offsets stay', async () => {
  const dataDir = temporaryDirectory();
  const broker = await testBroker({ dataDir });
  const client = await testClient(broker);
  const topicId = await client.createTopic('t');
  const commit = {
    ...{ groupId: 'g', memberId: '', generation: -1, groupInstanceId: null },
    entries: [{ topicId, partition: 0, offset: 7, leaderEpoch: 0, metadata: null }],
  };
  await client.call(offsetCommitApi, commit);
  await broker.close();
  const storage = await openTestStorage(dataDir);
  const garbage = Buffer.from('garbage');
  await appendRaw(storage, [[garbage, garbage]]);
  // Not even records: bytes that say they are a batch, and a checksum that does not fit.
  const log = partitionOf(storage, '__offsets').log;
  const batch = makeBatch({ records: 2 });
  batch.fill(0xff, 61);
  await log?.prepare(2);
  log?.append(chunksOf(batch), readBatchHeader(batch));
  await storage.close();
  const restarted = await testClient(await testBroker({ dataDir }));
  const { response } = await restarted.call(offsetFetchApi, { groupId: 'g', entries: null });
  expect(response.entries).toMatchObject([{ topic: 't', offset: 7 }]);
  await restarted.call(offsetCommitApi, commit);
});
