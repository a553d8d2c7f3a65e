import { InvalidArgumentError } from '../errors.js';
import { quoted } from './text.js';

/**
 * The keys of a type, each once: what {@link checkKeys} compares with. Made with `satisfies`, so
 * that the compiler sees to it that none is missing.
 */
export type KeysOf<T> = Readonly<Record<keyof T, true>>;

/**
 * Refuses what is no object, and keys that nobody will read: a misspelt option must not pass for
 * its default.
 *
 * @param what what the keys belong to, such as `producer option`
 * @throws InvalidArgumentError naming the key and the one that is probably meant.
 */
export function checkKeys(
  what: string,
  options: unknown,
  known: Readonly<Record<string, true>>,
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidArgumentError(`The ${what}s must be given as an object`);
  }
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(known, key)) continue;
    const names = Object.keys(known);
    const nearest = nearestOf(key, names);
    const hint =
      nearest === undefined
        ? `there are ${[...names].sort().join(', ')}`
        : `did you mean ${quoted(nearest)}?`;
    throw new InvalidArgumentError(`There is no ${what} ${quoted(key)}; ${hint}`);
  }
}

/** Longer keys are not compared: nothing known is near them. */
const MAX_COMPARED_CHARACTERS = 40;

function nearestOf(key: string, names: readonly string[]): string | undefined {
  if (key.length > MAX_COMPARED_CHARACTERS) return undefined;
  const limit = Math.max(2, Math.floor(key.length / 3));
  let nearest: string | undefined;
  let least = limit + 1;
  for (const name of names) {
    const edits = editDistance(key.toLowerCase(), name.toLowerCase());
    if (edits >= least) continue;
    least = edits;
    nearest = name;
  }
  return nearest;
}

/** Letters to insert, drop, change or swap with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, at(beforeLast, j - 2) + 1);
      }
      row.push(edits);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
