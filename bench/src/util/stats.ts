/** Median of several measurements with what they spread over. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Undefined for nothing. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) return undefined;
  const middle = (sorted.length - 1) / 2;
  const low = sorted[Math.floor(middle)] ?? min;
  const high = sorted[Math.ceil(middle)] ?? max;
  return { median: (low + high) / 2, min, max, count: sorted.length };
}

/** Fewer rounds than this say nothing about which of two is better. */
export const MIN_ROUNDS_FOR_A_WINNER = 3;

/**
 * Which of the contenders is best, where that is beyond the noise: its worst round is better than the
 * best round of every other. Undefined otherwise.
 */
export function clearWinner<Name extends string>(
  contenders: ReadonlyMap<Name, Spread>,
  better: 'higher' | 'lower',
): Name | undefined {
  if (contenders.size < 2) return undefined;
  for (const [name, spread] of contenders) {
    if (spread.count < MIN_ROUNDS_FOR_A_WINNER) return undefined;
    const beats = (other: Spread): boolean =>
      better === 'higher' ? spread.min > other.max : spread.max < other.min;
    if ([...contenders].every(([other, its]) => other === name || beats(its))) return name;
  }
  return undefined;
}
