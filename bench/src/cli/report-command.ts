import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Command } from 'commander';
import { renderReport } from '../report/render.js';
import { pageData } from '../report/page-data.js';
import { readResult } from '../results/files.js';
import { tableLines } from './summary.js';

/** `report A.json B.json`: runs side by side, on the terminal and as a page. */
export function reportCommand(): Command {
  return new Command('report')
    .description('Make the page of a result, or of several side by side.')
    .argument('<results...>', 'result files, as runs write them')
    .option('--out <file>', 'where the page goes', 'results/report.html')
    .action((paths: readonly string[], { out }: { out: string }) => {
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
    });
}
