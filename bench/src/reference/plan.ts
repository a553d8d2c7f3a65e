import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDirectory, removeDirectory } from '../cli/data-dir.js';
import { makePayloads } from '../load/payload.js';
import type { LoadSpec } from '../load/spec.js';
import type { Flow } from '../results/schema.js';
import { warmMemory } from '../rounds/warm-memory.js';
import { fullBatch } from './frames.js';
import type { FullBatch } from './frames.js';
import { LoopProcess } from './loop-process.js';

/** Requests under way, enough that neither side waits for the other. */
export const APPEND_DEPTH = 8;
export const READ_DEPTH = 2;
/** What goes before and is not timed, as a share of what is. */
const WARM_SHARE = 0.25;

/** What is moved in each direction: the same by the loops and by a broker. */
export interface ReferencePlan {
  /** The built `reference.c`. */
  readonly program: string;
  /** Where files are made; undefined: the temporary directory of the system. */
  readonly parent: string | undefined;
  /** What is appended at a time. */
  readonly batch: FullBatch;
  /** What is read at a time: as many batches as a fetch holds. */
  readonly region: { readonly bytes: number; readonly records: number };
  readonly appends: Moves;
  readonly reads: Moves;
}

export interface Moves {
  readonly warm: number;
  readonly count: number;
}

/**
 * @param bytes what is moved in each direction, without warming up.
 */
export function planReference(
  program: string,
  spec: LoadSpec,
  bytes: number,
  parent: string | undefined,
): ReferencePlan {
  const [value = Buffer.alloc(spec.payload.maxBytes)] = makePayloads(spec.payload);
  const batch = fullBatch(spec.batchBytes, value);
  const batches = Math.max(1, Math.floor(spec.fetchBytes / batch.bytes.length));
  const region = { bytes: batches * batch.bytes.length, records: batches * batch.records };
  const reads = movesOf(bytes, region.bytes);
  // What is read was appended before: every region of it once.
  const appended = movesOf(bytes, batch.bytes.length);
  const appends = { ...appended, count: Math.max(appended.count, batches) };
  return { program, parent, batch, region, appends, reads };
}

function movesOf(bytes: number, each: number): Moves {
  const count = Math.max(1, Math.round(bytes / each));
  return { count, warm: Math.ceil(count * WARM_SHARE) };
}

/** Whole regions in what was appended. */
export function regionsOf({ appends, batch, region }: ReferencePlan): number {
  return Math.floor(((appends.warm + appends.count) * batch.bytes.length) / region.bytes);
}

/** What the plain receiver and sender says that it did. */
interface Driven {
  readonly seconds: number;
  readonly answers: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly smallestAnswerBytes: number;
}

/**
 * Sends the frames to whoever listens, one request after the other, and drops the answers.
 *
 * @param address `IPv4:port`.
 * @param signal ends it. @returns undefined then.
 */
export async function drive(
  { parent, program }: ReferencePlan,
  address: string,
  frames: Buffer,
  depth: number,
  moves: Moves,
  signal: AbortSignal,
): Promise<Driven | undefined> {
  const isAborted = (): boolean => signal.aborted;
  if (isAborted()) return undefined;
  const directory = await makeDirectory(parent);
  const path = join(directory, 'frames');
  writeFileSync(path, frames);
  const [host = '', port = ''] = address.split(':');
  const numbers = [depth, moves.warm, moves.count].map(String);
  const driver = new LoopProcess(program, ['drive', host, port, path, ...numbers]);
  const kill = (): void => {
    driver.kill();
  };
  signal.addEventListener('abort', kill);
  if (isAborted()) kill();
  try {
    return (await driver.next()) as Driven;
  } catch (error) {
    if (isAborted()) return undefined;
    throw error;
  } finally {
    signal.removeEventListener('abort', kill);
    driver.kill();
    await driver.ended();
    removeDirectory(directory);
  }
}

/** Sends `plan.appends`, once {@link warmForAppends} is done. */
export async function driveAppends(
  plan: ReferencePlan,
  address: string,
  frames: Buffer,
  signal: AbortSignal,
): Promise<Driven | undefined> {
  return drive(plan, address, frames, APPEND_DEPTH, plan.appends, signal);
}

/** Has the memory that {@link driveAppends} will need. */
export async function warmForAppends(plan: ReferencePlan, signal: AbortSignal): Promise<void> {
  const { appends, batch, parent = tmpdir() } = plan;
  await warmMemory(parent, (appends.warm + appends.count) * batch.bytes.length, signal);
}

/** What went in, of what was driven. */
export function appendedFlow({ batch }: ReferencePlan, { answers, seconds }: Driven): Flow {
  const { bytes, records } = batch;
  return { messages: answers * records, bytes: answers * bytes.length, seconds, errors: 0 };
}

/** What came out, without the heads of answers. Regions at the end of a segment are shorter. */
export function readFlow({ batch, region }: ReferencePlan, driven: Driven): Flow {
  const bytes = Math.min(driven.receivedBytes, driven.answers * region.bytes);
  const messages = Math.round((bytes / batch.bytes.length) * batch.records);
  return { messages, bytes, seconds: driven.seconds, errors: 0 };
}
