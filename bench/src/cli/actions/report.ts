import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { pageData } from '../../report/page-data.js';
import { renderReport } from '../../report/render.js';
import { readResult } from '../../results/files.js';
import { tableLines } from '../summary.js';

export interface ReportOptions {
  readonly out: string;
}

/** `report A.json B.json`: runs side by side, on the terminal and as a page. */
export function report(paths: readonly string[], { out }: ReportOptions): void {
  const results = paths.map((path) => ({
    label: basename(path, '.json'),
    result: readResult(path),
  }));
  for (const { tables } of pageData(results).phases) {
    for (const { title, head, rows, verdict } of tables) {
      const lines = [title, ...tableLines([head, ...rows]), ...(verdict ? [verdict] : []), ''];
      process.stdout.write(`${lines.join('\n')}\n`);
    }
  }
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, renderReport(results));
  process.stdout.write(`report: ${out}\n`);
}
