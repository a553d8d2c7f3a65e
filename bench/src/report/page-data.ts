import { percentileCurve } from '../load/latency.js';
import {
  bytesPerSecond,
  measurementsOf,
  mergedLatency,
  perGib,
  phasesOf,
  spreadOver,
} from '../results/cell-figures.js';
import { classicTables } from '../results/classic-table.js';
import { latencyKinds, phaseTables, phaseTitle } from '../results/figure-table.js';
import type { FigureTable } from '../results/figure-text.js';
import type { Cell, Measurement, PhaseName, ResultFile } from '../results/schema.js';
import { spreadOf } from '../util/stats.js';
import type { Spread } from '../util/stats.js';
import { formatBytes } from '../util/units.js';

/** A result, and what it is called beside others. */
export interface LabelledResult {
  readonly label: string;
  readonly result: ResultFile;
}

type Point = readonly [x: number, y: number];

interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

interface Bar {
  readonly name: string;
  readonly user: Spread;
  readonly system: Spread;
}

/** All that the page's script draws; `page/page.js` is its only reader. */
export interface PageData {
  readonly title: string;
  readonly runs: readonly {
    readonly label: string;
    readonly facts: readonly (readonly [name: string, value: string])[];
    readonly notes: readonly string[];
  }[];
  readonly classic: readonly FigureTable[];
  readonly phases: readonly {
    readonly title: string;
    readonly tables: readonly FigureTable[];
    readonly cpu: readonly Bar[];
    /** MiB/s over seconds, of the round that is the median. */
    readonly throughput: readonly Line[];
    /** Microseconds by percentile, all rounds together. */
    readonly latency: readonly { readonly title: string; readonly lines: readonly Line[] }[];
  }[];
}

/** What the page shows of results. Cells of several results are told apart by their label. */
export function pageData(results: readonly LabelledResult[]): PageData {
  const several = results.length > 1;
  const cells = results.flatMap(({ label, result }) =>
    result.cells.map((cell) => (several ? { ...cell, name: `${label}: ${cell.name}` } : cell)),
  );
  const classic = results.flatMap(({ result }) => result.classic ?? []);
  return {
    title: several
      ? 'millrace-bench: comparison'
      : `millrace-bench: ${results[0]?.result.name ?? ''}`,
    runs: results.map(runOf),
    classic: classicTables(classic),
    phases: phasesOf(cells).map((phase) => phaseOf(phase, cells)),
  };
}

function runOf({ label, result }: LabelledResult): PageData['runs'][number] {
  const { command, environment: e, interrupted, maxRate, startedAt } = result;
  const facts: [string, string | undefined][] = [
    ['started', startedAt + (interrupted ? ' (ended early)' : '')],
    ['command', command.join(' ')],
    ['host', `${e.host}${e.container ? ' (in a container)' : ''}`],
    ['CPU', `${e.cores} × ${e.cpu}`],
    ['memory', formatBytes(e.memoryBytes)],
    ['kernel', e.kernel],
    ['Node', e.node],
    ['filesystem', e.filesystem],
    ['commit', e.commit],
    ['highest rate held', maxRate && `${maxRate.ratePerSecond.toLocaleString('en-US')} msg/s`],
    ...result.cells.map(({ about, name }): [string, string] => [name, about]),
  ];
  return {
    label,
    facts: facts.flatMap(([name, value]) =>
      value === undefined || value === '' ? [] : [[name, value] as const],
    ),
    notes: [...result.notes, ...limitNotes(result.cells)],
  };
}

/** Where the generator or the machine was the limit: a line for each phase and reason. */
function limitNotes(cells: readonly Cell[]): string[] {
  const notes = new Map<string, { readonly text: string; readonly where: string[] }>();
  for (const phase of phasesOf(cells)) {
    for (const cell of cells) {
      const measurements = measurementsOf(cell, phase);
      const limits = measurements.flatMap(({ generator }) => generator.limit ?? []);
      const [first] = limits;
      if (first === undefined) continue;
      // The same reason at another percentage is no other reason.
      const key = `${phase} ${first.replace(/[\d,.]+/g, '')}`;
      const note = notes.get(key) ?? { text: `${phaseTitle(phase)}: ${first}`, where: [] };
      notes.set(key, note);
      note.where.push(`${cell.name} in ${limits.length} of ${measurements.length} rounds`);
    }
  }
  return [...notes.values()].map(({ text, where }) => `${text} (${where.join('; ')})`);
}

function phaseOf(phase: PhaseName, cells: readonly Cell[]): PageData['phases'][number] {
  return {
    title: phaseTitle(phase),
    tables: phaseTables(cells, phase),
    cpu: cells.flatMap((cell) => barOf(cell, phase)),
    throughput: cells.flatMap((cell) => {
      const median = medianRound(measurementsOf(cell, phase));
      const points = median === undefined ? [] : throughputOf(median);
      return points.length === 0 ? [] : [{ name: cell.name, points }];
    }),
    latency: latencyKinds.flatMap(([kind, name]) => {
      const lines = cells.flatMap((cell): Line[] => {
        const merged = mergedLatency(measurementsOf(cell, phase), kind);
        return merged === undefined
          ? []
          : [{ name: cell.name, points: percentileCurve(merged.hdr) }];
      });
      return lines.length === 0 ? [] : [{ title: name, lines }];
    }),
  };
}

function barOf(cell: Cell, phase: PhaseName): Bar[] {
  const measurements = measurementsOf(cell, phase);
  const user = spreadOver(
    measurements,
    perGib((cost) => cost.cpuUserSeconds),
  );
  const system = spreadOver(
    measurements,
    perGib((cost) => cost.cpuSystemSeconds),
  );
  return user === undefined || system === undefined ? [] : [{ name: cell.name, user, system }];
}

/** The round whose throughput is nearest to the median of all. */
function medianRound(measurements: readonly Measurement[]): Measurement | undefined {
  const median = spreadOf(measurements.map(bytesPerSecond))?.median;
  if (median === undefined) return undefined;
  const distance = (m: Measurement): number => Math.abs(bytesPerSecond(m) - median);
  return measurements.reduce((a, b) => (distance(b) < distance(a) ? b : a));
}

function throughputOf({ phase, series }: Measurement): Point[] {
  const out = phase.startsWith('consume');
  return series.map((point) => [
    point.atS,
    (out ? point.consumedBytesPerSecond : point.producedBytesPerSecond) / 2 ** 20,
  ]);
}
