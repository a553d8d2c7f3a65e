import { expect, test } from '@jest/globals';
import type { ListedGroup } from '@millrace/protocol';
import { encodeResponseFrame, listGroupsApi, MAX_LISTED_GROUPS } from '@millrace/protocol';
import { seededRandom, testSeed } from '../../support/seed.js';
import { TestGroup } from './support/test-group.js';

/** All pages, one after the other. */
function pagesOf(group: TestGroup, states: readonly string[] = []): ListedGroup[][] {
  const pages: ListedGroup[][] = [];
  for (let after = ''; ;) {
    const { groups, more } = group.coordinator.list({ states, after });
    pages.push([...groups]);
    if (!more) return pages;
    after = groups.at(-1)?.groupId ?? '';
  }
}

const idsIn = (pages: readonly ListedGroup[][]): string[] =>
  pages.flat().map(({ groupId }) => groupId);

test('more groups than fit into one answer are told page by page, in order', async () => {
  const random = seededRandom(testSeed());
  const group = new TestGroup();
  const ids = new Set(Array.from({ length: 25_000 }, () => `g-${Math.floor(random() * 1e9)}`));
  await Promise.all([...ids].map((id) => group.store.commit(id, [])));
  const inUse = [...ids].filter((_, index) => index % 100 === 0);
  await Promise.all(
    inUse.map((groupId) => group.join({ groupId, groupInstanceId: 'till-1' }).promise),
  );
  const pages = pagesOf(group);
  expect(pages.map(({ length }) => length)).toEqual([
    ...[MAX_LISTED_GROUPS, MAX_LISTED_GROUPS],
    ids.size - 2 * MAX_LISTED_GROUPS,
  ]);
  expect(idsIn(pages)).toEqual([...ids].sort());
  expect(idsIn(pagesOf(group, ['CompletingRebalance']))).toEqual(inUse.sort());
  const empty = [...ids].filter((id) => !inUse.includes(id));
  expect(idsIn(pagesOf(group, ['Empty']))).toEqual(empty.sort());
});

test('a page that is just full is the last one', async () => {
  const group = new TestGroup();
  const ids = Array.from({ length: MAX_LISTED_GROUPS }, (_, n) => `g${n}`);
  await Promise.all(ids.map((id) => group.store.commit(id, [])));
  expect(pagesOf(group)).toHaveLength(1);
  await group.store.commit('one-more', []);
  expect(pagesOf(group).map(({ length }) => length)).toEqual([MAX_LISTED_GROUPS, 1]);
});

test('pages fit into a header, however much text their groups are made of', async () => {
  const group = new TestGroup();
  const protocolType = '\u20ac'.repeat(249);
  const ids = Array.from({ length: 6_000 }, (_, n) => `g${n}`.padEnd(249, '\u20ac'));
  for (const groupId of ids)
    await group.join({ groupId, protocolType, groupInstanceId: 'i' }).promise;
  const pages = pagesOf(group);
  expect(pages.length).toBeGreaterThan(1);
  expect(idsIn(pages)).toEqual(ids.sort());
  for (const groups of pages) {
    const frame = encodeResponseFrame(listGroupsApi, 1, { groups, more: true });
    expect(frame.length).toBeLessThan(2 ** 24);
  }
});
