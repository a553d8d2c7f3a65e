import { describeEnvironment } from '../results/environment.js';
import { toCsv } from '../results/csv.js';
import { checkResults, writeResult } from '../results/files.js';
import { RESULT_SCHEMA } from '../results/schema.js';
import type { ResultFile } from '../results/schema.js';
import { watchInterrupts } from './interrupt.js';
import type { Interruption } from './interrupt.js';
import type { OutputOptions } from './options.js';

/** What a command that measures works in. */
export class RunContext {
  /** Where a broker that was started here stores: its filesystem is told. */
  dataDir: string | undefined;
  readonly notes: string[] = [];

  constructor(
    readonly signal: AbortSignal,
    private readonly quiet: boolean,
  ) {}

  /** Lines for people, on stdout unless that is for a program. */
  say(...lines: readonly string[]): void {
    const stream = this.quiet ? process.stderr : process.stdout;
    for (const line of lines) stream.write(`${line}\n`);
  }
}

/** Without what `zerocopy` tells itself: the command line as it was given. */
function withoutInside(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--inside');
  return at < 0 ? args : [...args.slice(0, at), ...args.slice(at + 2)];
}

/**
 * Runs a command that measures, and writes its result, also when Ctrl-C ended it early.
 *
 * @param work returns what it knows of the result; the rest is filled in.
 */
export async function runCommand(
  options: OutputOptions,
  work: (context: RunContext) => Promise<Partial<ResultFile>>,
): Promise<void> {
  checkResults(options.results);
  const startedAt = new Date().toISOString();
  const interruption = watchInterrupts();
  const context = new RunContext(interruption.signal, options.json || options.csv);
  try {
    report(options, await work(context), { context, interruption, startedAt });
  } finally {
    // Not before all is written: a second Ctrl-C amid that would leave half of it.
    interruption.dispose();
  }
}

interface Run {
  readonly context: RunContext;
  readonly interruption: Interruption;
  readonly startedAt: string;
}

/** Fills in what every result has, writes it, and prints it as it was asked for. */
function report(
  options: OutputOptions,
  partial: Partial<ResultFile>,
  { context, interruption, startedAt }: Run,
): void {
  const { cells = [], kind = 'load', limit, load, name = kind } = partial;
  if (load === undefined || limit === undefined) throw new Error('a result without its load');
  const result: ResultFile = {
    ...{ schema: RESULT_SCHEMA, kind, name: options.name ?? name, startedAt },
    finishedAt: new Date().toISOString(),
    interrupted: interruption.exitCode !== undefined,
    command: ['millrace-bench', ...withoutInside(process.argv.slice(2))],
    environment: describeEnvironment(context.dataDir),
    ...{ load, limit, cells, notes: [...context.notes, ...(partial.notes ?? [])] },
    classic: partial.classic,
    maxRate: partial.maxRate,
  };
  const files = writeResult(options.results, result);
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  if (options.csv) process.stdout.write(toCsv(result));
  context.say(`result: ${files.result}`, `report: ${files.report}`);
  if (interruption.exitCode !== undefined) process.exitCode = interruption.exitCode;
}
