import { mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ProtocolError, readBatchHeader } from '@millrace/protocol';
import { Log } from '../../../broker/src/storage/log.js';
import type { LogEnvironment } from '../../../broker/src/storage/log-environment.js';
import type { LogState } from '../../../broker/src/storage/log-state.js';
import { recoverLog } from '../../../broker/src/storage/recovery.js';
import { logFileName, indexFileName } from '../../../broker/src/storage/segment-name.js';
import { defaultStorageConfig } from '../../../broker/src/storage/storage-config.js';
import { chunksOf, drain, makeBatch } from '../../support/batches.js';

export const TAIL_BYTES = 64 * 1024;
const PREFIX_BATCHES = 5;
const LOG = logFileName(0);
const INDEX = indexFileName(0);
const options = { ...defaultStorageConfig, segmentBytes: 256 * 1024, indexIntervalBytes: 4096 };

/** A log with {@link TAIL_BYTES} that are neither synced nor checkpointed, as a crash leaves it. */
export interface TailImage {
  /** The data of the segment, without room ahead of it. */
  readonly log: Buffer;
  readonly index: Buffer;
  readonly checkpoint: Buffer;
  /** Where the un-synced tail begins. */
  readonly tailStart: number;
  /** Where each batch ends, and the offset behind it. */
  readonly ends: readonly { readonly position: number; readonly offset: number }[];
}

/** What a crash left of an image. */
export interface TailCase {
  readonly name: string;
  readonly content: Buffer;
  /** A page that the file does not have: it is never written. */
  readonly hole?: { readonly from: number; readonly to: number };
  readonly withIndex: boolean;
}

/** An open log, and what it was recovered to. */
interface Opened {
  readonly log: Log;
  readonly state: LogState;
}

async function openLog(directory: string, environment: LogEnvironment): Promise<Opened> {
  const state = await recoverLog('t-0', directory, false, environment, options);
  return { log: new Log('t-0', directory, state, environment, options, () => undefined), state };
}

/** Lets go of files without a sync or a checkpoint: what a killed process leaves. */
async function crash(log: Log): Promise<void> {
  await log.abandon(new ProtocolError('SHUTTING_DOWN', 'the process was killed'));
}

async function append(log: Log, tag: string, valueBytes: number, records = 1): Promise<number> {
  const bytes = makeBatch({ tag, records, valueBytes });
  const chunks = chunksOf(bytes);
  const header = readBatchHeader(bytes);
  while (!log.canAppend(records)) await log.prepare(records);
  return log.append(chunks, header).endLsn;
}

/** Makes the image: a few batches that are checkpointed, and a tail of batches of all sizes. */
export async function makeTailImage(
  directory: string,
  environment: LogEnvironment,
  random: () => number,
): Promise<TailImage> {
  await mkdir(directory, { recursive: true });
  const { log, state } = await openLog(directory, environment);
  let lsn = 0;
  for (let i = 0; i < PREFIX_BATCHES; i += 1) lsn = await append(log, `synced ${i}`, 300);
  await log.waitForSync(lsn);
  while ((state.checkpoint.current?.position ?? 0) === 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  await state.checkpoint.idle();
  const tailStart = log.sizeBytes;
  for (let i = 0; log.sizeBytes < tailStart + TAIL_BYTES; i += 1) {
    const records = random() < 0.5 ? 1 : 1 + Math.floor(random() * 8);
    await append(log, `tail ${i}`, 10 + Math.floor(random() ** 3 * 6_000) / records, records);
  }
  const { sizeBytes } = log;
  const bytes = await readFile(join(directory, LOG));
  const checkpoint = await readFile(join(directory, 'checkpoint'));
  // As the appender would have written it, had it been sealed: the best that a crash can leave.
  const index = (await log.lastSegment?.index())?.encode() ?? Buffer.alloc(0);
  await crash(log);
  const data = bytes.subarray(0, sizeBytes);
  return { log: data, index, checkpoint, tailStart, ends: endsOf(data) };
}

function endsOf(log: Buffer): TailImage['ends'] {
  const ends: { position: number; offset: number }[] = [];
  for (let position = 0; position < log.length;) {
    const header = readBatchHeader(log, position);
    position += header.sizeBytes;
    ends.push({ position, offset: header.baseOffset + header.lastOffsetDelta + 1 });
  }
  return ends;
}

/** Where the log must end: before the first batch that is not what it was. */
function expectedEnd(image: TailImage, content: Buffer): { position: number; offset: number } {
  let end = { position: 0, offset: 0 };
  for (const next of image.ends) {
    const was = image.log.subarray(end.position, next.position);
    if (!content.subarray(end.position, next.position).equals(was)) break;
    end = next;
  }
  return end;
}

/** Runs cases on one directory, again and again. */
export class TailBench {
  constructor(
    private readonly directory: string,
    private readonly image: TailImage,
    /** Of the image's checkpoint: no offset below it may be given out again. */
    private readonly ceiling: number,
  ) {}

  /**
   * Recovers the case: an exact prefix must be there. Then twice appends, crashes and recovers: there must
   * be that prefix and the new records, and nothing else.
   * @throws Error that says what is wrong.
   */
  async run(test: TailCase, environment: LogEnvironment): Promise<void> {
    await this.#lay(test);
    const expected = expectedEnd(this.image, test.content);
    const kept = this.image.log.subarray(0, expected.position);
    const opened = await openLog(this.directory, environment);
    let { log } = opened;
    equal(opened.state.dataEndOffset, expected.offset, 'the offset after the last record');
    await this.#checkContent(log, [kept]);
    await this.#checkCut(test, expected.position);
    const appended: Buffer[] = [];
    let least = Math.max(this.ceiling, expected.offset);
    for (const round of ['first', 'second']) {
      const lsn = await append(log, `${round} after ${test.name}`, 200, 2);
      if (round === 'first') await log.waitForSync(lsn);
      const bytes = await this.#readFrom(log, least);
      if (bytes === undefined) throw new Error(`${test.name}: the ${round} append cannot be read`);
      const { baseOffset } = readBatchHeader(bytes);
      if (baseOffset < least) throw new Error(`${test.name}: offset ${baseOffset} is used again`);
      least = baseOffset + 2;
      appended.push(bytes);
      await crash(log);
      ({ log } = await openLog(this.directory, environment));
      await this.#checkContent(log, [kept, ...appended]);
    }
    await crash(log);
  }

  async #lay({ content, hole, withIndex }: TailCase): Promise<void> {
    for (const name of await readdir(this.directory)) await rm(join(this.directory, name));
    await writeFile(join(this.directory, 'checkpoint'), this.image.checkpoint);
    if (withIndex) await writeFile(join(this.directory, INDEX), this.image.index);
    const file = await open(join(this.directory, LOG), 'w');
    try {
      if (hole === undefined) await file.write(content, 0, content.length, 0);
      else {
        await file.write(content, 0, hole.from, 0);
        await file.write(content, hole.to, content.length - hole.to, hole.to);
      }
    } finally {
      await file.close();
    }
  }

  async #checkContent(log: Log, expected: readonly Buffer[]): Promise<void> {
    const parts: Buffer[] = [];
    for (let offset = 0; ;) {
      const bytes = await this.#readFrom(log, offset);
      if (bytes === undefined) break;
      parts.push(bytes);
      for (let at = 0; at < bytes.length;) {
        const header = readBatchHeader(bytes, at);
        at += header.sizeBytes;
        offset = header.baseOffset + header.lastOffsetDelta + 1;
      }
    }
    const is = Buffer.concat(parts);
    const should = Buffer.concat(expected);
    if (is.equals(should)) return;
    const at = is.findIndex((byte, i) => byte !== should[i]);
    throw new Error(
      `${is.length} bytes are read instead of ${should.length}; they differ at ${at}`,
    );
  }

  async #readFrom(log: Log, offset: number): Promise<Buffer | undefined> {
    const region = await log.read(offset, 1 << 20, true);
    return region === undefined ? undefined : drain(region);
  }

  /** What was cut must be kept: all of it but the zeros at its end. */
  async #checkCut({ content }: TailCase, from: number): Promise<void> {
    let end = content.length;
    while (end > from && content[end - 1] === 0) end -= 1;
    const names = (await readdir(this.directory)).filter((name) => name.endsWith('.cut'));
    equal(names.length, end > from ? 1 : 0, 'files with what was cut');
    const [name] = names;
    if (name === undefined) return;
    const kept = await readFile(join(this.directory, name));
    if (!kept.equals(content.subarray(from, end))) throw new Error(`${name} is not what was cut`);
  }
}

function equal(is: number, should: number, what: string): void {
  if (is !== should) throw new Error(`${what}: ${is} instead of ${should}`);
}
