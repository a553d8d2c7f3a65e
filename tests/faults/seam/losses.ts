import type { KeptNames } from './simulated-directory.js';
import type { KeptContent } from './simulated-file.js';

/** What a power cut takes of all that was not synced. */
export interface Loss {
  readonly name: string;
  /** A new one for each cut: one that is random is asked in a fixed order. */
  readonly names: () => KeptNames;
  readonly content: () => KeptContent;
}

const all = (): boolean => true;
const none = (): boolean => false;
const lastHalf = (index: number, count: number): boolean => index >= count / 2;
const removals: KeptNames = (_index, _count, type) => type === 'remove';

/** The corners: what real file systems are nearest to, and what only the contract allows. */
export const losses: readonly Loss[] = [
  loss('nothing that was not synced is there', none, 'synced', none),
  loss('names are there, but not what was written', all, 'synced', none),
  loss('names and sizes are there, but zeros', all, 'last', none),
  loss('what was written is there, but not names', none, 'last', all),
  loss('names that went are gone, and nothing else is done', removals, 'synced', none),
  loss('only the later pages are there', all, 'last', lastHalf),
];

/** Any part of what was not synced; names in any order, or up to a moment as a journal keeps them. */
export function randomLoss(random: () => number): Loss {
  return {
    name: 'some of what was not synced is there',
    names: () => {
      const kept = random();
      if (random() < 0.5) return (index, count) => index < kept * (count + 1) - 1;
      return () => random() < kept;
    },
    content: () => {
      const kept = random();
      return { size: random() < 0.5 ? 'last' : 'synced', page: () => random() < kept };
    },
  };
}

function loss(
  name: string,
  names: KeptNames,
  size: KeptContent['size'],
  page: KeptContent['page'],
): Loss {
  return { name, names: () => names, content: () => ({ size, page }) };
}
