import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { DUMPABLE, dumpFile, kindOf } from '../inspect/dump-file.js';
import type { FileKind } from '../inspect/dump-file.js';
import { DamagedFileError } from '../inspect/dump-line.js';
import type { SegmentDumpOptions } from '../inspect/dump-segment.js';
import { isInUse, mayChange } from '../inspect/running-broker.js';
import { errnoOf } from '../storage/errors.js';
import { EXIT_DAMAGED, EXIT_OK, Output, say } from './output.js';
import { parseTool, UsageError } from './tool.js';

interface DumpFlags {
  readonly records?: boolean;
  readonly offsets?: boolean;
  readonly json?: boolean;
  readonly from?: string;
  readonly maxBatches?: string;
}

interface FileToDump {
  readonly path: string;
  readonly kind: FileKind;
}

/**
 * `millrace-broker dump FILE…`: prints what files of a data directory hold; changes nothing.
 * @returns the exit code: 1 when one of them is damaged.
 * @throws UsageError
 */
export async function dump(args: readonly string[]): Promise<number> {
  const command = new Command('millrace-broker dump')
    .description(`Prints what is in files of a data directory: ${DUMPABLE}.`)
    .argument('<file...>', 'files, also of a running broker')
    .option('--records', 'segments: also each record')
    .option('--offsets', 'segments of __offsets: the commits and groups in them')
    .option('--from <offset>', 'segments: from the batch that holds this offset')
    .option('--max-batches <count>', 'segments: at most so many batches of each')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExit code: 0 all printed, 1 a file is damaged, 2 wrong usage.');
  if (!parseTool(command, args)) return EXIT_OK;
  const flags = command.opts<DumpFlags>();
  const options = {
    records: flags.records === true,
    offsets: flags.offsets === true,
    from: integer('--from', flags.from, 0) ?? 0,
    maxBatches: integer('--max-batches', flags.maxBatches, 1) ?? Infinity,
  };
  const files = command.args.map(toDump);
  const output = new Output();
  let code = EXIT_OK;
  let told = false;
  for (const file of files) {
    const live = await isInUse(resolve(file.path));
    if (live && !told && (await mayChange(file.path))) {
      say(`${file.path} is in use by a broker: its end may move`);
      told = true;
    }
    if (files.length > 1 && flags.json !== true) await output.line(`== ${file.path}`);
    if (!(await print(file, { ...options, live }, flags.json === true, output)))
      code = EXIT_DAMAGED;
  }
  return code;
}

/** False when the file is damaged: what comes before that was printed. */
async function print(
  { path, kind }: FileToDump,
  options: SegmentDumpOptions,
  json: boolean,
  output: Output,
): Promise<boolean> {
  try {
    for await (const line of dumpFile(path, kind, options)) {
      await output.line(json ? JSON.stringify(line.json()) : line.text());
    }
    await output.flush();
    return true;
  } catch (error) {
    await output.flush();
    if (!(error instanceof DamagedFileError)) throw error;
    say(error.message + (options.live ? ' (or it was being written)' : ''));
    return false;
  }
}

/** All names are looked at before the first file is printed. @throws UsageError */
function toDump(path: string): FileToDump {
  const kind = kindOf(path);
  if (kind === undefined) {
    throw new UsageError(`${path} is no file that can be dumped; those are ${DUMPABLE}`);
  }
  try {
    if (statSync(path).isFile()) return { path, kind };
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${errnoOf(error) ?? String(error)}`, {
      cause: error,
    });
  }
  throw new UsageError(`${path} is not a file`);
}

/** @throws UsageError */
function integer(option: string, text: string | undefined, min: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new UsageError(`${option} takes an integer from ${min} on, not ${JSON.stringify(text)}`);
}
