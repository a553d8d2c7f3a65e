import { significant } from '../util/units.js';
import type { FigureTable } from './figure-text.js';
import type { ClassicRow } from './schema.js';

const head = [
  ...['', 'chunk', 'switches: theory', 'measured'],
  ...['copies: theory', 'by the CPU: theory', 'by syscalls', 'in the kernel', 'CPU s/GiB'],
];

/**
 * The classic table, what theory says of each way and what was measured of it; and the whole matrix,
 * where scatter-gather could be switched.
 */
export function classicTables(rows: readonly ClassicRow[]): readonly FigureTable[] {
  if (rows.length === 0) return [];
  const title = 'Four ways from a file to a socket: theory and measurement';
  const chunks = [...new Set(rows.map(({ chunkBytes }) => chunkBytes))];
  const four = chunks.flatMap((chunkBytes) =>
    classicNames.flatMap((name) =>
      rows
        .filter((row) => row.chunkBytes === chunkBytes && classicName(row) === name)
        .map((row) => told(name, row)),
    ),
  );
  const classic = { title, head, rows: four, verdict: undefined };
  const switched = rows.filter(({ scatterGather }) => scatterGather !== undefined);
  if (switched.length === 0) return [classic];
  const matrix = switched.map((row) => told(`${row.way}, ${deviceName(row)}`, row));
  const every =
    'The whole matrix: each way with scatter-gather (SG) on and off, and with segmentation offload (TSO) ' +
    'too, as a network card does';
  return [classic, { title: every, head, rows: matrix, verdict: undefined }];
}

/** What the sending device does, in the names of the matrix. */
export function deviceName({
  scatterGather,
  segmentationOffload,
}: Pick<ClassicRow, 'scatterGather' | 'segmentationOffload'>): string {
  if (segmentationOffload === true) return 'SG and TSO on';
  return `SG ${scatterGather === true ? 'on' : 'off'}`;
}

/** In the order of the table. */
const classicNames = ['read+write', 'mmap+write', 'sendfile', 'sendfile with scatter-gather DMA'];

/**
 * What a row is called in the classic table; undefined where it is not in it. The copies that it counts
 * for the first two ways are those with scatter-gather; sendfile it tells with and without. Segmentation
 * offload would be a second difference between those two.
 */
function classicName({
  scatterGather,
  segmentationOffload,
  way,
}: ClassicRow): string | undefined {
  if (segmentationOffload === true) return undefined;
  if (way !== 'sendfile') return scatterGather === false ? undefined : way;
  return scatterGather === true ? 'sendfile with scatter-gather DMA' : way;
}

function told(name: string, { chunkBytes, measured, theory }: ClassicRow): readonly string[] {
  const { cpuCopies, copies, switches } = theory;
  const known = [name, `${chunkBytes / 1024} KiB`, String(switches)];
  if (measured === undefined) return [...known, 'open', ...[copies, cpuCopies].map(String)];
  const { cpuSecondsPerGib: cpu, cpuSecondsPerGibMax, cpuSecondsPerGibMin } = measured;
  const range = `${significant(cpuSecondsPerGibMin)}–${significant(cpuSecondsPerGibMax)}`;
  const kernel = measured.kernelCopies;
  return [
    ...[...known, measured.switches.toFixed(2), String(copies), String(cpuCopies)],
    measured.countedCopies.toFixed(2),
    kernel === undefined ? 'not counted' : kernel.toFixed(2),
    `${significant(cpu)} (${range})`,
  ];
}
