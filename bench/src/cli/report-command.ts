import { Command } from 'commander';
import type { ReportOptions } from './actions/report.js';

/** `report A.json B.json`: runs side by side, on the terminal and as a page. */
export function reportCommand(): Command {
  return new Command('report')
    .description('Make the page of a result, or of several side by side.')
    .argument('<results...>', 'result files, as runs write them')
    .option('--out <file>', 'where the page goes', 'results/report.html')
    .action(async (paths: readonly string[], options: ReportOptions) => {
      const { report } = await import('./actions/report.js');
      report(paths, options);
    });
}
