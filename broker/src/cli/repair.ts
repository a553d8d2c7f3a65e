import { resolve, sep } from 'node:path';
import { pino } from 'pino';
import type { Finding } from '../inspect/findings.js';
import {
  cutFilesIn,
  discardCutFiles,
  planRepairs,
  repairDirectory,
} from '../inspect/repair-directory.js';
import { describePlan } from '../inspect/repair-plan.js';
import type { RepairPlan } from '../inspect/repair-plan.js';
import { verifyDirectory } from '../inspect/verify-directory.js';
import { EXIT_DAMAGED, EXIT_OK } from './output.js';
import type { Output } from './output.js';

export interface RepairFlags {
  readonly topic: string | undefined;
  /** Do it; without it, only say what would be done. */
  readonly yes: boolean;
}

/**
 * `verify --repair`: says what is damaged and what a repair would do, and with `--yes` does it.
 * @returns 0 when nothing is damaged (any more), 1 when something is.
 */
export async function repair(
  directory: string,
  { topic, yes }: RepairFlags,
  output: Output,
): Promise<number> {
  const within = resolve(directory) + sep;
  const print = (text: string): Promise<void> => output.line(text.replaceAll(within, ''));
  const damage: Finding[] = [];
  const report = (finding: Finding): void => {
    if (finding.severity === 'damage') damage.push(finding);
  };
  const logger = pino({ level: 'silent' });
  const options = { topic, report };
  const { plans, rebuilt } = yes
    ? await repairDirectory(directory, options, logger)
    : await planRepairs(directory, options);
  for (const { advice, path, position, problem } of damage) {
    const where = position === undefined ? path : `${path} at byte ${position}`;
    await print(
      `damage: ${where}: ${problem}${plans.length + rebuilt.length === 0 ? `; ${advice}` : ''}`,
    );
  }
  const lines = plans.flatMap(describePlan);
  lines.push(...rebuilt.map((path) => `${path} is removed: the broker builds it again`));
  for (const line of lines) await print(`${yes ? 'done' : 'would'}: ${line}`);
  await output.line(summary(plans, damage.length, rebuilt.length, yes));
  if (damage.length === 0) return EXIT_OK;
  return yes ? await stillDamaged(directory, topic, print) : EXIT_DAMAGED;
}

function summary(
  plans: readonly RepairPlan[],
  damaged: number,
  rebuilt: number,
  done: boolean,
): string {
  const records = plans.reduce((sum, { lostRecords }) => sum + lostRecords, 0);
  const bytes = plans.reduce((sum, { lostBytes }) => sum + lostBytes, 0);
  const partitions = `${plans.length} partition${plans.length === 1 ? '' : 's'}`;
  if (damaged === 0) return 'no damage: nothing to repair';
  if (plans.length + rebuilt === 0) return 'nothing that a repair could do; see the advice above';
  const cut = `${records} records and ${bytes} bytes cut and kept beside`;
  if (done) return `repaired ${partitions}: ${cut}`;
  return `a repair would touch ${partitions}: ${cut}. Nothing was changed; --yes does it`;
}

/** What only an operator can put right. */
async function stillDamaged(
  directory: string,
  topic: string | undefined,
  print: (text: string) => Promise<void>,
): Promise<number> {
  const left: Finding[] = [];
  const report = (finding: Finding): void => {
    if (finding.severity === 'damage') left.push(finding);
  };
  await verifyDirectory(directory, { topic, report });
  for (const { advice, path, problem } of left) {
    await print(`still damaged: ${path}: ${problem}; ${advice}`);
  }
  return left.length === 0 ? EXIT_OK : EXIT_DAMAGED;
}

/** `verify --discard-cut`: lists what was cut off logs and kept, and with `--yes` removes it. */
export async function discardCut(directory: string, yes: boolean, output: Output): Promise<number> {
  const files = yes ? await discardCutFiles(directory) : await cutFilesIn(directory);
  for (const { bytes, path } of files) await output.line(`${path}: ${bytes} bytes`);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const what = `${files.length} files, ${bytes} bytes`;
  await output.line(yes ? `removed ${what}` : `${what}. Nothing was changed; --yes removes them`);
  return EXIT_OK;
}
