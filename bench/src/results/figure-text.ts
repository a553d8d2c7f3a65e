import type { Spread } from '../util/stats.js';

/** A table for the terminal and for the page. */
export interface FigureTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What is beyond the noise, in words; or that nothing is. */
  readonly verdict: string | undefined;
}

/** `12.3 (11.9–13.0)`, or the value alone where there is but one. */
export function spreadText(spread: Spread | undefined, format: (value: number) => string): string {
  if (spread === undefined) return '–';
  const { count, max, median, min } = spread;
  const value = format(median);
  return count < 2 || min === max ? value : `${value} (${format(min)}–${format(max)})`;
}
