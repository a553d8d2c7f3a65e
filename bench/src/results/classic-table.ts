import { significant } from '../util/units.js';
import type { FigureTable } from './figure-text.js';
import type { ClassicRow } from './schema.js';

/** The classic table: what theory says of each way, and what was measured of it. */
export function classicTable(rows: readonly ClassicRow[]): FigureTable {
  return {
    title: 'Four ways from a file to a socket: theory and measurement',
    head: [
      ...['', 'chunk', 'switches: theory', 'measured'],
      ...['copies: theory', 'by the CPU: theory', 'by syscalls', 'in the kernel', 'CPU s/GiB'],
    ],
    rows: rows.map((row) => {
      const { measured, theory } = row;
      const name = row.scatterGather === undefined ? row.way : `${row.way}, SG ${onOff(row)}`;
      const { cpuCopies, copies, switches } = theory;
      const told = [name, `${row.chunkBytes / 1024} KiB`, String(switches)];
      if (measured === undefined) return [...told, 'open', ...[copies, cpuCopies].map(String)];
      const { cpuSecondsPerGib: cpu, cpuSecondsPerGibMax, cpuSecondsPerGibMin } = measured;
      const range = `${significant(cpuSecondsPerGibMin)}–${significant(cpuSecondsPerGibMax)}`;
      const kernel = measured.kernelCopies;
      return [
        ...[...told, measured.switches.toFixed(2), String(copies), String(cpuCopies)],
        measured.countedCopies.toFixed(2),
        kernel === undefined ? 'not counted' : kernel.toFixed(2),
        `${significant(cpu)} (${range})`,
      ];
    }),
    verdict: undefined,
  };
}

function onOff({ scatterGather }: ClassicRow): string {
  return scatterGather === true ? 'on' : 'off';
}
