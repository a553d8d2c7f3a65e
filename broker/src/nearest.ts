/** Longer words are not compared: nothing known is near them. */
const MAX_COMPARED_CHARACTERS = 80;

/**
 * The candidate that takes the fewest edits to get from `word`; undefined when all are far away.
 * @param prefixLength leading characters that all of them share; they say nothing.
 */
export function nearest<Name extends string>(
  word: string,
  candidates: readonly Name[],
  prefixLength = 0,
): Name | undefined {
  if (word.length > MAX_COMPARED_CHARACTERS) return undefined;
  let best: Name | undefined;
  let bestDistance = Math.max(2, Math.floor((word.length - prefixLength) / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
