import { formatBytes } from '../util/units.js';
import { spreadOf } from '../util/stats.js';
import type { Spread } from '../util/stats.js';
import { bytesPerSecond, measurementsOf, spreadOver } from './cell-figures.js';
import { spreadText } from './figure-text.js';
import type { FigureTable } from './figure-text.js';
import type { Cell, PhaseName } from './schema.js';

/** How near brokers come to the best plain C loop; undefined for phases and results without one. */
export function referenceTable(
  cells: readonly Cell[],
  phase: PhaseName,
  title: string,
): FigureTable | undefined {
  const took = cells.filter((cell) => measurementsOf(cell, phase).length > 0);
  const throughput = (cell: Cell): Spread | undefined =>
    spreadOver(measurementsOf(cell, phase), bytesPerSecond);
  const median = (cell: Cell): number => throughput(cell)?.median ?? 0;
  const [first, ...rest] = took.filter(({ reference }) => reference === true);
  if (first === undefined) return undefined;
  const best = rest.reduce((a, b) => (median(b) > median(a) ? b : a), first);
  const perSecond = (value: number): string => `${formatBytes(value)}/s`;
  const percent = (value: number): string => `${(100 * value).toFixed(0)} %`;
  return {
    title: `${title}: beside the best plain C loop`,
    head: ['', 'throughput', 'of the best loop'],
    rows: took.map((cell) => [
      cell.reference === true ? `reference: ${cell.name}` : cell.name,
      spreadText(throughput(cell), perSecond),
      cell === best ? 'the best' : spreadText(ratios(cell, best, phase), percent),
    ]),
    verdict: undefined,
  };
}

/** Round by round, so that what drifts cancels. */
function ratios(cell: Cell, best: Cell, phase: PhaseName): Spread | undefined {
  const rates = (of: Cell): number[] =>
    of.rounds.map((round) => {
      const measurement = round.find((its) => its.phase === phase);
      return measurement === undefined ? NaN : bytesPerSecond(measurement);
    });
  const bests = rates(best);
  return spreadOf(rates(cell).map((rate, round) => rate / (bests[round] ?? NaN)));
}
