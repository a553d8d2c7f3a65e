import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeSlot, SLOT_BYTES } from '../storage/checkpoint.js';
import type { Checkpoint } from '../storage/checkpoint.js';
import { emptyManifest, readManifest } from '../storage/compaction/manifest.js';
import type { CompactionManifest } from '../storage/compaction/manifest.js';
import { EPOCHS_FILE, EpochHistory } from '../storage/epoch-history.js';
import type { LeaderEpoch } from '../storage/epoch-history.js';
import { DataDirError, errnoOf } from '../storage/errors.js';
import { readJsonFile } from '../storage/json-file.js';
import { CHECKPOINT_FILE, COMPACTION_FILE, PRODUCERS_FILE } from '../storage/log-files.js';
import { ProducerStates } from '../storage/producer-states.js';
import { REPAIR } from './findings.js';
import type { FindingKind, Report } from './findings.js';

/** What the small files of a partition say; each as if it were not there where it is damaged. */
export interface PartitionMetadata {
  readonly checkpoint: Checkpoint | undefined;
  /** A slot is damaged: the newest checkpoint may be the one that is lost. */
  readonly slotLost: boolean;
  readonly epochs: readonly LeaderEpoch[];
  readonly manifest: CompactionManifest;
  /** False when one of the above is damaged: what follows from it cannot be judged. */
  readonly epochsKnown: boolean;
  readonly manifestKnown: boolean;
}

/** Reads them all, and reports what is damaged. Changes nothing. */
export async function readPartitionMetadata(
  directory: string,
  report: Report,
): Promise<PartitionMetadata> {
  const slots = await readSlots(join(directory, CHECKPOINT_FILE), report);
  const epochs = await tryRead('epochs', join(directory, EPOCHS_FILE), report, REPAIR, async () => {
    return (await EpochHistory.load(directory)).all;
  });
  const epochsLost = epochs?.length === 0 && slots.checkpoint?.hasEpochs === true;
  if (epochsLost) {
    report({
      ...{ severity: 'damage', kind: 'epochs', path: join(directory, EPOCHS_FILE), position: 0 },
      problem: 'it was lost: the checkpoint knows of it',
      advice: REPAIR,
    });
  }
  const manifestPath = join(directory, COMPACTION_FILE);
  const manifest = await tryRead('compaction', manifestPath, report, REPAIR, () =>
    readManifest(directory),
  );
  const manifestLost = slots.checkpoint?.hasManifest === true && !(await exists(manifestPath));
  if (manifestLost) {
    report({
      ...{ severity: 'damage', kind: 'compaction', path: manifestPath, position: 0 },
      problem: 'it was lost: the checkpoint knows of it',
      advice: REPAIR,
    });
  }
  await checkProducers(directory, slots.checkpoint, report);
  return {
    ...slots,
    epochs: epochs ?? [],
    manifest: manifest ?? emptyManifest,
    epochsKnown: epochs !== undefined && !epochsLost,
    manifestKnown: manifest !== undefined && !manifestLost,
  };
}

/** Whether there is such a file at all. */
async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function readSlots(
  path: string,
  report: Report,
): Promise<{ readonly checkpoint: Checkpoint | undefined; readonly slotLost: boolean }> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { checkpoint: undefined, slotLost: false };
    throw error;
  }
  const slots = [decodeSlot(bytes, 0), decodeSlot(bytes, SLOT_BYTES)];
  const valid = slots.filter((slot) => typeof slot === 'object');
  const newest = valid.sort((a, b) => b.sequence - a.sequence)[0];
  for (const [i, slot] of slots.entries()) {
    if (slot !== 'damaged') continue;
    report({
      ...{ severity: 'damage', kind: 'checkpoint', path, position: i * SLOT_BYTES },
      problem: `slot ${i} is damaged`,
      advice:
        newest === undefined
          ? `no slot is left, and the broker takes the partition offline: ${REPAIR}`
          : 'the broker goes on by the other one, and checks what came after it; start and stop it',
    });
  }
  if (newest === undefined && !slots.includes('damaged')) {
    const problem = 'neither slot was ever written';
    report({ severity: 'damage', kind: 'checkpoint', path, position: 0, problem, advice: REPAIR });
  }
  return { checkpoint: newest?.checkpoint, slotLost: slots.includes('damaged') };
}

async function checkProducers(
  directory: string,
  checkpoint: Checkpoint | undefined,
  report: Report,
): Promise<void> {
  const path = join(directory, PRODUCERS_FILE);
  const advice =
    'remove the file: the broker builds it again from what the log still holds; producers whose batches ' +
    'were removed are forgotten';
  await tryRead('producers', path, report, advice, async () => {
    const content = await readJsonFile(path);
    if (content === undefined) return;
    const snapshot = decodeProducers(content);
    if (snapshot === undefined) {
      throw new DataDirError('damaged', `${path} is damaged: it does not hold producers`);
    }
    if (snapshot.offset <= (checkpoint?.endOffset ?? Infinity)) return;
    report({
      ...{ severity: 'note', kind: 'producers', path },
      problem: `it was taken at offset ${snapshot.offset}, beyond the checkpoint`,
      advice: 'the broker uses it only if the log reaches that far',
    });
  });
}

/** A producer snapshot as `producers.json` holds it; undefined when it is none. */
export function decodeProducers(
  content: unknown,
): { readonly offset: number; readonly producers: readonly unknown[] } | undefined {
  if (typeof content !== 'object' || content === null) return undefined;
  if (!('offset' in content) || !('producers' in content)) return undefined;
  const { offset, producers } = content;
  if (typeof offset !== 'number' || !Array.isArray(producers)) return undefined;
  const states = new ProducerStates({ maxProducers: Infinity, expirationMs: Infinity });
  return states.restore(producers) ? { offset, producers } : undefined;
}

/** What `read` resolves to; undefined, and reported, where it finds damage. */
export async function tryRead<Content>(
  kind: FindingKind,
  path: string,
  report: Report,
  advice: string,
  read: () => Promise<Content>,
): Promise<Content | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof DataDirError)) throw error;
    const problem = withoutPath(error.message, path);
    report({ severity: 'damage', kind, path, position: 0, problem, advice });
    return undefined;
  }
}

/** Storage errors name their file, and advise; a finding does both by itself. */
function withoutPath(message: string, path: string): string {
  const [what = message] = message.split('; ');
  return what.replace(`${path} `, '').replace(/^is damaged(: | \()?/, 'damaged$1');
}
