import { phasesOf } from '../../results/cell-figures.js';
import { phaseTables } from '../../results/figure-table.js';
import type { Cell } from '../../results/schema.js';
import type { RunContext } from '../run-command.js';
import { tableLines } from '../summary.js';

/** The tables of a comparison, on the terminal. */
export function sayTables(cells: readonly Cell[], context: RunContext): void {
  for (const { title, head, rows, verdict } of phasesOf(cells).flatMap((phase) =>
    phaseTables(cells, phase),
  )) {
    context.say('', title, ...tableLines([head, ...rows]));
    if (verdict !== undefined) context.say(`beyond the noise: ${verdict}`);
  }
  context.say('');
}
