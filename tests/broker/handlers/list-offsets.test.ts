import { describe, expect, test } from '@jest/globals';
import { ByteChunks, ProtocolError } from '@millrace/protocol';
import type { ListOffsetsEntry, ListOffsetsResult } from '@millrace/protocol';
import { pino } from 'pino';
import type { RequestContext } from '../../../broker/src/handlers/context.js';
import { ListOffsetsHandler } from '../../../broker/src/handlers/list-offsets.js';
import type { HandlerServices } from '../../../broker/src/handlers/services.js';

const topicId = 'a'.repeat(32);
const END = -1;
const BEGINNING = -2;

function fakePartition(more: object = {}): object {
  return {
    ...{ name: 't-0', log: {}, problem: undefined, leaderEpoch: 2 },
    ...{ startOffset: 5, highWatermark: 9 },
    offsetForTimestamp: (timestampMs: number) => Promise.resolve({ offset: 7, timestampMs }),
    ...more,
  };
}

async function ask(
  partitions: readonly object[],
  rows: readonly (readonly [partition: number, timestampMs: number])[],
  deadlineMs = Infinity,
): Promise<readonly ListOffsetsResult[]> {
  const topic = { name: 't', id: topicId, partitions };
  const handler = new ListOffsetsHandler({
    storage: { topics: { byId: () => topic } },
    logger: pino({ level: 'silent' }),
  } as unknown as HandlerServices);
  const entries: ListOffsetsEntry[] = rows.map(([partition, timestampMs]) => ({
    ...{ topicId, partition, timestampMs },
  }));
  const context = { deadlineMs } as unknown as RequestContext;
  return (await handler.handle({ entries }, ByteChunks.empty, context)).response.entries;
}

describe('rows', () => {
  test('may ask a partition for its beginning, its end and one time', async () => {
    const rows = await ask(
      [fakePartition()],
      [
        [0, BEGINNING],
        [0, END],
        [0, 1_000],
      ],
    );
    expect(rows.map(({ errorCode, offset }) => [errorCode, offset])).toEqual([
      [0, 5],
      [0, 9],
      [0, 7],
    ]);
  });

  test.each([
    [
      'one end twice',
      [
        [0, END],
        [1, END],
        [0, END],
      ],
    ],
    [
      'one time twice',
      [
        [0, 1_000],
        [0, 1_000],
      ],
    ],
    [
      'two times',
      [
        [0, 1_000],
        [0, 1_001],
      ],
    ],
  ] as const)('may not ask a partition for %s', async (_name, rows) => {
    const answer = ask([fakePartition(), fakePartition()], rows);
    await expect(answer).rejects.toMatchObject({
      errorName: 'INVALID_REQUEST',
      message: expect.stringContaining(`partition 0 of ${topicId}`),
    });
  });
});

describe('lookups by time', () => {
  const many = Array.from({ length: 50 }, (_, partition) => [partition, 1_000] as const);

  test('let others have their turn in between', async () => {
    let turns = 0;
    let over = false;
    const count = (): void => {
      turns += 1;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    await ask(
      many.map(() => fakePartition()),
      many,
    );
    over = true;
    expect(turns).toBeGreaterThanOrEqual(many.length - 2);
  });

  test('stop when nobody waits for the answer any more', async () => {
    let lookups = 0;
    const partition = fakePartition({
      offsetForTimestamp: () => {
        lookups += 1;
        return Promise.resolve(undefined);
      },
    });
    const answer = ask(
      many.map(() => partition),
      many,
      performance.now() - 1,
    );
    await expect(answer).rejects.toMatchObject({ errorName: 'REQUEST_TIMED_OUT' });
    expect(lookups).toBe(0);
  });
});

describe('a partition with a problem', () => {
  const problem = new ProtocolError('CORRUPT_LOG', 't-0: damaged');

  test('that has no log answers the problem, whatever is asked', async () => {
    const damaged = fakePartition({ log: undefined, problem, startOffset: 0, highWatermark: 0 });
    const rows = await ask(
      [damaged],
      [
        [0, BEGINNING],
        [0, END],
        [0, 1_000],
      ],
    );
    for (const row of rows) {
      expect(row).toMatchObject({
        errorCode: problem.code,
        errorMessage: 't-0: damaged',
        offset: -1,
      });
    }
  });

  test('that still has its log, after a failed sync, answers offsets', async () => {
    const rows = await ask(
      [fakePartition({ problem })],
      [
        [0, BEGINNING],
        [0, END],
      ],
    );
    expect(rows.map(({ errorCode, offset }) => [errorCode, offset])).toEqual([
      [0, 5],
      [0, 9],
    ]);
  });
});
