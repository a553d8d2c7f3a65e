import { clearWinner } from '../util/stats.js';
import type { Spread } from '../util/stats.js';
import { formatBytes, formatMicros, significant } from '../util/units.js';
import {
  bytesPerSecond,
  measurementsOf,
  mergedLatency,
  messagesPerSecond,
  perGib,
  spreadOver,
} from './cell-figures.js';
import { spreadText } from './figure-text.js';
import type { FigureTable } from './figure-text.js';
import { referenceTable } from './reference-table.js';
import type { BrokerCost, Cell, Measurement, PhaseName } from './schema.js';

interface Column {
  readonly head: string;
  readonly spread: (measurements: readonly Measurement[]) => Spread | undefined;
  readonly format: (value: number) => string;
  /** Undefined: neither is better by itself. */
  readonly better?: 'higher' | 'lower';
}

const figure = (
  head: string,
  pick: (measurement: Measurement) => number | undefined,
  format: (value: number) => string,
  better?: 'higher' | 'lower',
): Column => ({
  ...{ head, format },
  spread: (measurements) => spreadOver(measurements, pick),
  ...(better !== undefined && { better }),
});

const cost = (
  head: string,
  pick: (cost: BrokerCost) => number,
  format: (value: number) => string = significant,
  better?: 'lower',
): Column => figure(head, perGib(pick), format, better);

const throughput: readonly Column[] = [
  figure('msg/s', messagesPerSecond, significant),
  figure('throughput', bytesPerSecond, (value) => `${formatBytes(value)}/s`, 'higher'),
];

const latency: readonly Column[] = [
  figure('publish p50', ({ latencies }) => latencies.publish?.p50Us, formatMicros),
  figure('publish p99', ({ latencies }) => latencies.publish?.p99Us, formatMicros),
  figure('e2e p50', ({ latencies }) => latencies.endToEnd?.p50Us, formatMicros),
  figure('e2e p99', ({ latencies }) => latencies.endToEnd?.p99Us, formatMicros, 'lower'),
];

const costs: readonly Column[] = [
  cost('CPU s/GiB', (c) => c.cpuUserSeconds + c.cpuSystemSeconds, significant, 'lower'),
  cost('user', (c) => c.cpuUserSeconds),
  cost('sys', (c) => c.cpuSystemSeconds),
  cost('syscalls/GiB', (c) => c.modeSwitches / 2),
  cost('mode switches', (c) => c.modeSwitches),
  cost('sched. switches', (c) => c.voluntarySwitches + c.involuntarySwitches),
  cost('user copies', (c) => c.userCopiedBytes, formatBytes),
  cost('crossed', (c) => c.crossedBytes, formatBytes),
  cost('minor faults', (c) => c.minorFaults),
  cost('major faults', (c) => c.majorFaults),
  figure('RSS', ({ cost: its }) => its?.rssBytes, formatBytes),
];

const phaseNames: Readonly<Record<PhaseName, string>> = {
  produce: 'in: produce',
  consume: 'out: consume, warm',
  'consume-cold': 'out: consume, cold',
  e2e: 'end to end',
  'reference-in': 'in: a plain C sender',
  'reference-out': 'out: a plain C receiver',
};

export function phaseTitle(phase: PhaseName): string {
  return phaseNames[phase];
}

/** All tables of a phase. */
export function phaseTables(cells: readonly Cell[], phase: PhaseName): readonly FigureTable[] {
  const further = [
    ...[referenceTable(cells, phase, phaseTitle(phase)), syscallTable(cells, phase)],
    latencyTable(cells, phase),
  ];
  return [...figureTables(cells, phase), ...further.filter((built) => built !== undefined)];
}

/** How the cells did in a phase, and what it cost the broker per GiB moved. */
function figureTables(cells: readonly Cell[], phase: PhaseName): readonly FigureTable[] {
  const title = phaseTitle(phase);
  return [
    table(title, [...throughput, ...latency], cells, phase),
    table(`${title}: what it cost the broker, per GiB`, costs, cells, phase),
  ].filter((built) => built !== undefined);
}

/** How often each kind of system call was made per GiB, by cell. */
function syscallTable(cells: readonly Cell[], phase: PhaseName): FigureTable | undefined {
  const kinds = new Set<string>();
  for (const cell of cells) {
    for (const { cost: its } of measurementsOf(cell, phase)) {
      for (const [kind, calls] of Object.entries(its?.syscalls ?? {}))
        if (calls > 0) kinds.add(kind);
    }
  }
  const columns = [...kinds].map((kind) => cost(kind, ({ syscalls }) => syscalls[kind] ?? 0));
  return table(`${phaseTitle(phase)}: system calls per GiB`, columns, cells, phase);
}

function table(
  title: string,
  columns: readonly Column[],
  cells: readonly Cell[],
  phase: PhaseName,
): FigureTable | undefined {
  const took = cells
    .map((cell) => ({ cell, measurements: measurementsOf(cell, phase) }))
    .filter(({ measurements }) => measurements.length > 0);
  const used = columns.filter(({ spread }) =>
    took.some(({ measurements }) => spread(measurements) !== undefined),
  );
  if (used.length === 0) return undefined;
  return {
    title,
    head: ['', ...used.map(({ head }) => head)],
    rows: took.map(({ cell, measurements }) => [
      cell.name,
      ...used.map(({ format, spread }) => spreadText(spread(measurements), format)),
    ]),
    // What a plain loop does is no broker's to win.
    verdict: verdictOf(
      used,
      took.filter(({ cell }) => cell.reference !== true),
    ),
  };
}

function verdictOf(
  columns: readonly Column[],
  took: readonly { readonly cell: Cell; readonly measurements: readonly Measurement[] }[],
): string | undefined {
  if (took.length < 2) return undefined;
  const judged = columns.filter(({ better }) => better !== undefined);
  if (judged.length === 0) return undefined;
  const words = judged.map(({ better = 'higher', head, spread }) => {
    const contenders = new Map<string, Spread>();
    for (const { cell, measurements } of took) {
      const its = spread(measurements);
      if (its !== undefined) contenders.set(cell.name, its);
    }
    const winner = clearWinner(contenders, better);
    return `${head}: ${winner ?? 'no clear winner'}`;
  });
  return words.join('; ');
}

/** Latencies of all rounds of a cell in one histogram. */
function latencyTable(cells: readonly Cell[], phase: PhaseName): FigureTable | undefined {
  const rows: string[][] = [];
  for (const cell of cells) {
    const measurements = measurementsOf(cell, phase);
    for (const [kind, name] of latencyKinds) {
      const merged = mergedLatency(measurements, kind);
      if (merged === undefined) continue;
      const { p50Us, p90Us, p99Us, p999Us, p9999Us, maxUs } = merged;
      const values = [p50Us, p90Us, p99Us, p999Us, p9999Us, maxUs].map(formatMicros);
      rows.push([`${cell.name} ${name}`, ...values, merged.count.toLocaleString('en-US')]);
    }
  }
  if (rows.length === 0) return undefined;
  const head = ['', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max', 'count'];
  return { title: `${phaseTitle(phase)}: latency`, head, rows, verdict: undefined };
}

/** Kinds of latency and what they are called. */
export const latencyKinds = [
  ['publish', 'publish'],
  ['publishDelay', 'publish delay'],
  ['endToEnd', 'end to end'],
] as const;
