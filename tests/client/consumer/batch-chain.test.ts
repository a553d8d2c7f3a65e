import { describe, expect, test } from '@jest/globals';
import { readBatchHeader } from '@millrace/protocol';
import type { BatchHeader } from '@millrace/protocol';
import { BatchChain } from '../../../client/src/consumer/batch-chain.js';
import type { FetchedRow } from '../../../client/src/consumer/batch-chain.js';
import { makeBatch } from '../../support/batches.js';

const sample = readBatchHeader(makeBatch());

function batch(baseOffset: number, records: number, partitionLeaderEpoch = 2): BatchHeader {
  return { ...sample, baseOffset, lastOffsetDelta: records - 1, partitionLeaderEpoch };
}

const row: FetchedRow = {
  ...{ highWatermark: 100, firstOffset: 10, lowestEpoch: 2, highestEpoch: 2, gapless: true },
};

/** What is found wrong with each of the batches, until something is. */
function problems(about: FetchedRow, fetchOffset: number, ...batches: BatchHeader[]): unknown[] {
  const chain = new BatchChain(about, fetchOffset);
  return batches.map((each) => chain.problemOf(each));
}

describe('the chain of fetched batches', () => {
  test('takes batches that follow each other, from within the first on', () => {
    const fits = problems(row, 12, batch(10, 5), batch(15, 1), batch(16, 84));
    expect(fits).toEqual([undefined, undefined, undefined]);
  });

  test.each([
    ['the first begins elsewhere', row, [batch(11, 5)], /base offset 11, where the log has 10/],
    ['one begins before', row, [batch(10, 5), batch(14, 5)], /base offset 14, where 15 must/],
    ['there is a gap', row, [batch(10, 5), batch(16, 5)], /base offset 16, where 15 must follow/],
    ['the epoch is another', row, [batch(10, 5, 3)], /leader epoch 3, where it is 2$/],
    ['it ends beyond the log', row, [batch(10, 91)], /beyond the log's end at 100/],
    ['it ends before what was asked for', row, [batch(10, 2)], /before the one that was asked/],
    [
      'one begins before, where compaction was',
      { ...row, gapless: false },
      [batch(10, 5), batch(14, 5)],
      /where at least 15 must follow/,
    ],
    [
      'the epoch is none of several',
      { ...row, highestEpoch: 4 },
      [batch(10, 5, 5)],
      /where it is 2 to 4/,
    ],
  ])('refuses where %s', (_, about, batches, problem) => {
    expect(problems(about, 12, ...batches).at(-1)).toMatch(problem);
  });

  test('lets gaps be where compaction was, and takes all of a broker that says nothing', () => {
    const gaps = problems({ ...row, gapless: false }, 12, batch(10, 5), batch(40, 1));
    expect(gaps).toEqual([undefined, undefined]);
    const unknown = { ...row, firstOffset: -1, lowestEpoch: -1, highestEpoch: -1, gapless: false };
    expect(problems(unknown, 12, batch(3, 2), batch(9, 9))).toEqual([undefined, undefined]);
  });
});
