import { describe, expect, test } from '@jest/globals';
import { offsetCommitApi, offsetFetchApi, readBatchHeader } from '@millrace/protocol';
import { encodedBytesAtMost } from '../../../broker/src/groups/answer-size.js';
import { hostOf, waitWithConnection } from '../../../broker/src/handlers/group-wait.js';
import type { Wait } from '../../../broker/src/handlers/context.js';
import { refuseLargeMembers } from '../../../broker/src/handlers/group-bounds.js';
import { Roster } from '../../../broker/src/roster.js';
import { encodeHeader, FRAME_PREFIX_BYTES } from '../../../protocol/src/header.js';
import { chunksOf, makeBatch } from '../../support/batches.js';
import { openTestStorage, partitionOf } from '../../support/storage.js';
import { appendRaw } from '../groups/support/offsets.js';
import { temporaryDirectory, testBroker, testClient } from '../support/temporary.js';

/** Of a header without fields: an array of three small numbers. */
const EMPTY_HEADER_BYTES = FRAME_PREFIX_BYTES + 4;

test('an answer about more members than fit into a header is refused before it is encoded', () => {
  const member = { metadata: Buffer.alloc(10), assignment: Buffer.alloc(10) };
  const group = { members: Array.from({ length: 1_000 }, () => member) };
  const groups = (count: number): (typeof group)[] => Array.from({ length: count }, () => group);
  expect(() => refuseLargeMembers('x', groups(37))).not.toThrow();
  expect(() => refuseLargeMembers('x', groups(38))).toThrow('ask for fewer groups');
  const large = (count: number): { members: object[] } => ({
    members: Array.from({ length: count }, () => ({ metadata: Buffer.alloc(2 ** 20) })),
  });
  expect(() => refuseLargeMembers('x', [large(15)])).not.toThrow();
  expect(() => refuseLargeMembers('x', [large(16)])).toThrow('have fewer members');
  // Names count too: each of these has three bytes for a character.
  const name = '\u20ac'.repeat(249);
  const named = {
    memberId: name,
    groupInstanceId: name,
    clientId: name,
    clientHost: 'h',
    ...member,
  };
  const ofNames = { members: Array.from({ length: 8_000 }, () => named) };
  expect(() => refuseLargeMembers('x', [ofNames])).toThrow('8000 members');
});

test('no row takes more than is reckoned with', () => {
  const texts = ['', 'a', '\u20ac'.repeat(70_000), '\u{1f600}'.repeat(50)];
  const numbers = [0, -1, 2 ** 31, -(2 ** 31) - 1, Number.MAX_SAFE_INTEGER];
  for (const text of texts) {
    for (const number of numbers) {
      const bytes = Buffer.alloc(text.length);
      const row = { text, number, none: null, yes: true, bytes };
      const encoded = encodeHeader({ apiKey: 0, apiVersion: 0, correlationId: 0 }, [
        [text, number, null, true, bytes],
      ]);
      expect(encodedBytesAtMost(row)).toBeGreaterThanOrEqual(encoded.length - EMPTY_HEADER_BYTES);
      expect(encodedBytesAtMost({ rows: [row, row] })).toBeGreaterThan(2 * encodedBytesAtMost(row));
    }
  }
});

test('offsets with more text than fits into an answer are refused, some are not', async () => {
  const client = await testClient(await testBroker({ offsetMetadataMaxBytes: 32_000 }));
  const partitions = 600;
  const topicId = await client.createTopic('t', partitions);
  const metadata = 'm'.repeat(30_000);
  const keys = Array.from({ length: partitions }, (_, partition) => ({ topicId, partition }));
  for (let from = 0; from < partitions; from += 30) {
    const entries = keys
      .slice(from, from + 30)
      .map((key) => ({ ...key, offset: 1, leaderEpoch: 0, metadata }));
    const anybody = { memberId: '', generation: -1, groupInstanceId: null };
    const { response } = await client.call(offsetCommitApi, { groupId: 'g', ...anybody, entries });
    expect(response.entries.every(({ errorCode }) => errorCode === 0)).toBe(true);
  }
  for (const entries of [null, keys]) {
    const all = client.call(offsetFetchApi, { groupId: 'g', entries });
    await expect(all).rejects.toMatchObject({
      errorName: 'LIMIT_EXCEEDED',
      message: expect.stringContaining('ask for fewer partitions') as unknown,
    });
  }
  const some = { groupId: 'g', entries: keys.slice(0, 500) };
  const { response } = await client.call(offsetFetchApi, some);
  expect(response.entries).toHaveLength(500);
});

describe('a wait for a group', () => {
  const connection = { remoteAddress: '[::1]:1', waits: new Roster<Wait>(), closing: false };
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
    connection.waits.forEach((wait) => wait.cancel());
    expect(await answer).toBeUndefined();
    expect(connection.waits.size).toBe(0);
  });

  test('ends with an error when the connection is to close, and does not begin then', async () => {
    const answer = waitWithConnection(connection, untilGone);
    connection.waits.forEach((wait) => wait.hurry());
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
