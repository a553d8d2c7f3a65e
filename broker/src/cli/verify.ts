import { resolve, sep } from 'node:path';
import { Command } from 'commander';
import type { Finding } from '../inspect/findings.js';
import { NotVerifiableError, verifyDirectory } from '../inspect/verify-directory.js';
import type { VerifyResult } from '../inspect/verify-directory.js';
import { EXIT_DAMAGED, EXIT_OK, Output } from './output.js';
import { ProgressLine } from './progress-line.js';
import { discardCut, repair } from './repair.js';
import { table } from './table.js';
import { parseTool, UsageError } from './tool.js';

/** Findings that are kept for `--json`; of more only the number is told. */
const MAX_JSON_FINDINGS = 10_000;

interface VerifyFlags {
  readonly topic?: string;
  readonly json?: boolean;
  readonly repair?: boolean;
  readonly discardCut?: boolean;
  readonly yes?: boolean;
}

/**
 * `millrace-broker verify DIR`: checks a data directory, and changes nothing without `--yes`.
 * @returns the exit code: 0 all good, 1 damage was found.
 * @throws UsageError when it cannot be checked
 */
export async function verify(args: readonly string[]): Promise<number> {
  const command = new Command('millrace-broker verify')
    .description('Checks a data directory that no broker has open; changes nothing without --yes.')
    .argument('<dir>', 'the data directory')
    .option('--topic <name>', 'only this topic')
    .option('--json', 'one JSON object instead of lines and a table, with whole paths')
    .option('--repair', 'say what a repair of damaged logs would cut, and where that is kept')
    .option('--discard-cut', 'list what was cut off logs and kept beside them, to remove it')
    .option('--yes', 'with --repair or --discard-cut: do it')
    .addHelpText(
      'after',
      '\nExit code: 0 all good, 1 damage was found, 2 it could not be checked. With --repair --yes:\n' +
        '0 nothing is damaged any more, 1 something is that only a backup can put right.',
    );
  if (!parseTool(command, args)) return EXIT_OK;
  const [directory = ''] = command.args;
  const { topic, json = false, ...change } = command.opts<VerifyFlags>();
  const output = new Output();
  if (change.repair === true || change.discardCut === true || change.yes === true) {
    return changing(directory, topic, change, output);
  }
  const progress = new ProgressLine(process.stderr);
  const findings = new Findings(progress, json, resolve(directory));
  try {
    const result = await verifyDirectory(directory, {
      topic,
      report: (finding) => findings.add(finding),
      onProgress: (step) => progress.step(step.partition, step.bytes),
    });
    progress.clear();
    await output.line(json ? asJson(result, findings) : asText(result, findings));
    await output.flush();
    return findings.damaged > 0 ? EXIT_DAMAGED : EXIT_OK;
  } catch (error) {
    progress.clear();
    if (error instanceof NotVerifiableError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** The ways in which it may change something. */
async function changing(
  directory: string,
  topic: string | undefined,
  { discardCut: isDiscard = false, repair: isRepair = false, yes = false }: VerifyFlags,
  output: Output,
): Promise<number> {
  if (isRepair === isDiscard) {
    throw new UsageError('give --repair or --discard-cut; see millrace-broker verify --help');
  }
  try {
    const code = isDiscard
      ? await discardCut(directory, yes, output)
      : await repair(directory, { topic, yes }, output);
    await output.flush();
    return code;
  } catch (error) {
    if (error instanceof NotVerifiableError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** Findings as they come: printed at once, or kept for the JSON. */
class Findings {
  readonly kept: Finding[] = [];
  damaged = 0;
  notes = 0;

  constructor(
    private readonly progress: ProgressLine,
    private readonly json: boolean,
    private readonly directory: string,
  ) {}

  add(finding: Finding): void {
    if (finding.severity === 'damage') this.damaged += 1;
    else this.notes += 1;
    if (this.json) {
      if (this.kept.length < MAX_JSON_FINDINGS) this.kept.push(finding);
      return;
    }
    this.progress.clear();
    // Paths are within the directory, which the last line names.
    const line = findingLine(finding).replaceAll(this.directory + sep, '');
    process.stdout.write(`${line}\n`);
  }
}

function findingLine({ severity, path, position, problem, advice }: Finding): string {
  const where = position === undefined ? path : `${path} at byte ${position}`;
  return `${severity}: ${where}: ${problem}; ${advice}`;
}

function asJson(result: VerifyResult, { damaged, kept, notes }: Findings): string {
  return JSON.stringify({ ok: damaged === 0, damaged, notes, ...result, findings: kept });
}

function asText({ directory, cleanStop, topics }: VerifyResult, findings: Findings): string {
  const header = ['topic', 'partitions', 'segments', 'bytes', 'batches', 'records'];
  const rows = topics.map((tally) => [
    tally.topic,
    ...[tally.partitions, tally.segments, tally.bytes, tally.batches, tally.records].map(String),
  ]);
  const stop = cleanStop ? 'stopped in good order' : 'not stopped in good order';
  const { damaged, notes } = findings;
  const damage = damaged === 0 ? 'no damage' : `${damaged} damaged`;
  return `${table(header, rows)}\n${directory} (${stop}): ${damage}, ${notes} notes`;
}
