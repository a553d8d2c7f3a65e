import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { exitCode } from '../../errors.js';
import type { LoadLimit } from '../../load/spec.js';
import { classicTables } from '../../results/classic-table.js';
import type { Cell, ResultFile } from '../../results/schema.js';
import type { Contender } from '../../rounds/contender.js';
import { cell } from '../../rounds/millrace-contender.js';
import type { CellStart } from '../../rounds/millrace-contender.js';
import { runRounds } from '../../rounds/run-rounds.js';
import { findProgram } from '../../servers/find-program.js';
import {
  makeVethPair,
  namespacesMissing,
  removeVethPair,
  setDevice,
} from '../../zerocopy/network.js';
import { classicRows, fieldName, matrix } from '../../zerocopy/ways.js';
import type { MatrixField } from '../../zerocopy/ways.js';
import { checkRoom } from '../data-dir.js';
import { addLoadOptions } from '../options.js';
import type { LoadOptions, OutputOptions } from '../options.js';
import { runCommand } from '../run-command.js';
import type { RunContext } from '../run-command.js';
import { tableLines } from '../summary.js';
import { specOf } from './load-spec.js';

export interface ZerocopyOptions extends OutputOptions {
  readonly rounds: number;
  readonly bytes: number;
  readonly chunks: readonly number[];
  readonly dataDir?: string;
  readonly loopback: boolean;
  /** `SERVER NAMESPACE/ADDRESS`: this process runs in the namespace of the client. */
  readonly inside?: string;
}

const MESSAGE_BYTES = '4000';
/** Batches have to fit the smallest fetch: one that is larger is served whole. */
const BATCH_BYTES = 60 * 1024;

/** What is in the topic; it is read again and again. */
const MAX_FILL_BYTES = 256 * 2 ** 20;

/** `zerocopy`: the classic table. */
export async function zerocopy(options: ZerocopyOptions): Promise<void> {
  const missing = options.loopback ? 'asked for by --loopback' : namespacesMissing();
  if (options.inside !== undefined || missing !== undefined) {
    await runCommand(options, (context) => measure(options, missing, context));
    return;
  }
  // Signals are the load's to handle, which runs in a group of its own: it keeps what it measured, and
  // this process stays to remove the namespaces. One that comes before it runs is passed on then.
  const early: NodeJS.Signals[] = [];
  let pass = (signal: NodeJS.Signals): void => void early.push(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      pass(signal === 'SIGHUP' ? 'SIGTERM' : signal);
    });
  }
  const pair = makeVethPair();
  // Also when something ends this process in the middle of it.
  process.on('exit', () => {
    removeVethPair(pair);
  });
  const script = fileURLToPath(new URL('../../../bin/millrace-bench.js', import.meta.url));
  const inside = ['--inside', `${pair.server}/${pair.serverAddress}`];
  const command = [process.execPath, script, ...process.argv.slice(2), ...inside];
  // The load runs in the client's namespace, and all that it starts.
  const child = spawn(findProgram('ip') ?? 'ip', ['netns', 'exec', pair.client, ...command], {
    stdio: 'inherit',
    detached: true,
  });
  pass = (signal) => void child.kill(signal);
  early.forEach(pass);
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  removeVethPair(pair);
  const { failed, interrupted, terminated } = exitCode;
  const ended = { SIGINT: interrupted, SIGTERM: terminated } as Readonly<Record<string, number>>;
  process.exitCode = code ?? ended[signal ?? ''] ?? failed;
}

async function measure(
  options: ZerocopyOptions,
  missing: string | undefined,
  context: RunContext,
): Promise<Partial<ResultFile>> {
  const [namespace, host] = options.inside?.split('/') ?? [];
  const limit: LoadLimit = { bytes: options.bytes };
  const fill: LoadLimit = { bytes: Math.min(options.bytes, MAX_FILL_BYTES) };
  const spec = specOf(loadDefaults(), {
    target: { driver: 'millrace', address: 'started' },
    topic: '',
    consume: { from: 'beginning', atEnd: 'rewind' },
    stamped: false,
  });
  context.dataDir = options.dataDir ?? tmpdir();
  checkRoom(context.dataDir, spec, fill);
  const fields = matrix(namespace !== undefined, options.chunks);
  const cellStart: CellStart = {
    args: [],
    parent: options.dataDir,
    ...(host !== undefined && { host }),
    ...(namespace !== undefined && {
      prefix: [findProgram('ip') ?? 'ip', 'netns', 'exec', namespace],
    }),
  };
  const contenders = fields.map((field) => contenderOf(field, cellStart, namespace));
  const phases = [
    { phase: 'produce', spec: {}, warmup: undefined, limit: fill },
    { phase: 'consume', spec: {}, warmup: { bytes: options.bytes / 4 }, limit },
  ] as const;
  const measured = await runRounds({ contenders, rounds: options.rounds, phases, spec }, context);
  const cells = measured.map(servedOnly);
  const classic = classicRows(fields, cells);
  for (const { head, rows, title } of classicTables(classic)) {
    context.say('', title, ...tableLines([head, ...rows]));
  }
  context.say('');
  if (namespace === undefined) {
    const note = `on loopback (${missing ?? ''}): the row with scatter-gather is open`;
    context.notes.push(note, ...classic.flatMap(({ open }) => open ?? []));
  } else {
    context.notes.push(
      'over veth between two network namespaces; without segmentation offload (TSO) by the largest MTU, ' +
        'with it by that of Ethernet',
    );
  }
  context.notes.push(...READING_NOTES);
  for (const note of context.notes) context.say(note);
  return { kind: 'zerocopy', name: options.name ?? 'zerocopy', load: spec, limit, cells, classic };
}

/** How the measured columns are to be read. */
const READING_NOTES = [
  'mmap+write: the theory counts a mmap(2) for each transfer; a broker maps a segment once, so two ' +
    'of its four switches are not there to be measured.',
  'Copies by system calls are counted from bytes; a short send is read again by read+write, so that ' +
    'it can be above 2. A fetch of one batch looks where the next one ends: the preads of that are in ' +
    'the rows of small chunks, with their switches, whichever the way. The linearising copy without scatter-gather happens in the kernel, and shows ' +
    'in CPU alone.',
];

function contenderOf(
  field: MatrixField,
  start: CellStart,
  namespace: string | undefined,
): Contender {
  const base = cell('mmap', field.way.serve, start);
  return {
    ...base,
    name: fieldName(field),
    spec: { fetchBytes: field.chunkBytes, checkCrc: false },
    open: () => {
      if (namespace !== undefined && field.device !== undefined) setDevice(namespace, field.device);
      return base.open();
    },
  };
}

/** Filling the topic is no part of what is told. */
function servedOnly({ rounds, ...rest }: Cell): Cell {
  return {
    ...rest,
    rounds: rounds.map((round) => round.filter(({ phase }) => phase !== 'produce')),
  };
}

function loadDefaults(): LoadOptions {
  const options = addLoadOptions(new Command()).parse([], { from: 'user' }).opts<LoadOptions>();
  return { ...options, size: MESSAGE_BYTES, batch: BATCH_BYTES, acks: '1', partitions: 2 };
}
