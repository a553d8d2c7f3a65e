import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { decodeSlot, SLOT_BYTES } from '../storage/checkpoint.js';
import { readManifest } from '../storage/compaction/manifest.js';
import { EpochHistory } from '../storage/epoch-history.js';
import { DataDirError } from '../storage/errors.js';
import { readJsonFile } from '../storage/json-file.js';
import { readTopicSpec } from '../topics/topic-file.js';
import { decodeMeta } from './data-files.js';
import { DamagedFileError, fieldsLine } from './dump-line.js';
import type { DumpLine } from './dump-line.js';
import { FileReader } from './file-reader.js';
import { walkEntries } from './index-walk.js';
import { decodeProducers } from './partition-metadata.js';

/** The entries of an index. @throws DamagedFileError */
export function* dumpIndex(path: string, baseOffset: number): Generator<DumpLine, void> {
  const file = new FileReader(path);
  try {
    for (const { position, entry, problem } of walkEntries(file, baseOffset)) {
      if (entry === undefined) throw new DamagedFileError(path, position, problem ?? 'unreadable');
      yield fieldsLine('entry', { ...entry });
    }
  } finally {
    file.close();
  }
}

/** Both slots of a checkpoint. @throws DamagedFileError behind them, when one is damaged. */
export async function* dumpCheckpoint(path: string): AsyncGenerator<DumpLine, void> {
  const bytes = await readFile(path);
  const slots = [decodeSlot(bytes, 0), decodeSlot(bytes, SLOT_BYTES)];
  const newest = Math.max(...slots.map((slot) => (typeof slot === 'object' ? slot.sequence : -1)));
  for (const [i, slot] of slots.entries()) {
    const at = i * SLOT_BYTES;
    if (typeof slot !== 'object') yield fieldsLine('slot', { slot: i, at, state: slot });
    else {
      const { sequence, checkpoint } = slot;
      const isNewest = sequence === newest;
      const about = { slot: i, at, state: 'valid', newest: isNewest, sequence };
      yield fieldsLine('slot', { ...about, ...checkpoint });
    }
  }
  const damaged = slots.indexOf('damaged');
  if (damaged < 0) return;
  throw new DamagedFileError(path, damaged * SLOT_BYTES, `slot ${damaged} is not what was written`);
}

/** Metadata files in JSON by their names. */
export const jsonDumps: Readonly<Record<string, (path: string) => Promise<readonly DumpLine[]>>> = {
  'epochs.json': async (path) => {
    const { all } = await EpochHistory.load(dirname(path));
    return all.map((epoch) => fieldsLine('epoch', { ...epoch }));
  },
  'producers.json': async (path) => {
    const snapshot = decodeProducers(await readJsonFile(path));
    if (snapshot === undefined) throw notSuch(path, 'a snapshot of producers');
    const { offset, producers } = snapshot;
    const first = fieldsLine('snapshot', { offset, producers: producers.length });
    return [first, ...producers.map(producerLine)];
  },
  'compaction.json': async (path) => [
    fieldsLine('compaction', { ...(await readManifest(dirname(path))) }),
  ],
  'topic.json': async (path) => {
    const spec = await readTopicSpec(path);
    if (spec === undefined) throw notSuch(path, 'the description of a topic');
    return [fieldsLine('topic', { ...spec })];
  },
  'meta.json': async (path) => {
    const meta = decodeMeta(await readJsonFile(path));
    if (meta === undefined) throw notSuch(path, 'the description of a data directory');
    return [fieldsLine('meta', { ...meta })];
  },
  'producer-ids.json': async (path) => {
    const next = await readJsonFile(path);
    if (!Number.isSafeInteger(next)) throw notSuch(path, 'the next producer id');
    return [fieldsLine('producer-ids', { next })];
  },
};

/** What `dump` yields; damage of the file as a whole becomes damage at its first byte. */
export async function* dumpJson(path: string, name: string): AsyncGenerator<DumpLine, void> {
  try {
    yield* (await jsonDumps[name]?.(path)) ?? [];
  } catch (error) {
    if (!(error instanceof DataDirError)) throw error;
    throw new DamagedFileError(path, 0, error.message.replace(`${path} `, ''));
  }
}

function producerLine(row: unknown): DumpLine {
  const [producerId, epoch, lastSeenMs, rows] = row as readonly [
    number,
    number,
    number,
    number[][],
  ];
  const batches = rows.map(([baseSequence, lastSequence, baseOffset]) => ({
    ...{ baseSequence, lastSequence, baseOffset },
  }));
  return fieldsLine('producer', { producerId, epoch, lastSeenMs, batches });
}

function notSuch(path: string, what: string): DataDirError {
  return new DataDirError('damaged', `${path} does not hold ${what}`);
}
