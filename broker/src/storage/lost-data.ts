import { join } from 'node:path';
import type { Checkpoint, CheckpointFile } from './checkpoint.js';
import { DAMAGE_FILE } from './damage.js';
import { EPOCHS_FILE } from './epoch-history.js';
import type { EpochHistory } from './epoch-history.js';
import { CorruptLogError } from './errors.js';
import type { LogEnvironment, LogOptions } from './log-environment.js';
import { CHECKPOINT_FILE, COMPACTION_FILE, PRODUCERS_FILE } from './log-files.js';
import type { FoundSegment } from './log-files.js';
import { logFileName } from './segment-name.js';
import { Segment } from './segment.js';
import type { LogEnd } from './tail-recovery.js';

/** A log's directory as it was left. */
export interface FoundLog {
  readonly directory: string;
  /** Of all files. */
  readonly names: readonly string[];
  readonly checkpoint: CheckpointFile;
  readonly epochs: EpochHistory;
  readonly segments: readonly FoundSegment[];
}

/** A segment, an index, or what was cut off one. */
const SEGMENT_FILE = /^\d{20}\./;
/** Names of files that are there once there is a checkpoint, and not before. */
const LATER_FILES = new Set<string>([PRODUCERS_FILE, COMPACTION_FILE, EPOCHS_FILE, DAMAGE_FILE]);

/**
 * The small files must be there, and fit each other: what they say is nowhere else.
 * @throws CorruptLogError
 */
export function checkMetadata({ checkpoint, directory, epochs, names }: FoundLog): void {
  const { current } = checkpoint;
  if (current === undefined) {
    const later = names.find((file) => LATER_FILES.has(file) || SEGMENT_FILE.test(file));
    if (later === undefined) return;
    const problem = `it was lost, for there is ${later} beside it`;
    throw new CorruptLogError(join(directory, CHECKPOINT_FILE), 0, problem);
  }
  const lost =
    current.hasEpochs && epochs.latest === undefined
      ? EPOCHS_FILE
      : current.hasManifest && !names.includes(COMPACTION_FILE) && COMPACTION_FILE;
  if (lost === false) return;
  throw new CorruptLogError(join(directory, lost), 0, 'it was lost: the checkpoint knows of it');
}

/** What is gone of what the checkpoint vouches for. */
export interface Lost {
  readonly damage: CorruptLogError;
  /** Where the log ends for readers, when it is the end that is gone ... */
  readonly end?: LogEnd;
  /** ... and the first offset that they cannot have. */
  readonly missingFrom?: number;
}

/** Everything below the checkpoint was on the device: if it is gone, that is damage, not a tail. */
export async function findLost(
  found: FoundLog,
  checkpoint: Checkpoint,
  environment: LogEnvironment,
  options: LogOptions,
): Promise<Lost | undefined> {
  const { segmentBase, position, startOffset, endOffset } = checkpoint;
  const first = found.segments[0]?.baseOffset ?? endOffset;
  // The start may lie beyond what was synced: records can be deleted up to the end. Compaction explains
  // no gap here, for what it writes begins where its first segment did.
  const explained = first <= startOffset || found.epochs.isGap(startOffset, first);
  const segment = found.segments.find(({ baseOffset }) => baseOffset === segmentBase);
  if (position > 0 && (segment?.fileBytes ?? 0) < position) {
    const path = segment?.path ?? join(found.directory, logFileName(segmentBase));
    const at = segment?.fileBytes ?? 0;
    const problem =
      segment === undefined
        ? `the file is missing, and was synced up to byte ${position}`
        : `it ends there, but was synced up to byte ${position}`;
    const damage = new CorruptLogError(path, at, problem);
    return { damage, ...(await readableEnd(found, checkpoint, environment, options)) };
  }
  if (endOffset <= startOffset || explained) return undefined;
  const path = join(found.directory, logFileName(startOffset));
  const problem =
    `the log begins at offset ${startOffset}, but its first segment is missing: there is none before ` +
    `offset ${first}`;
  return { damage: new CorruptLogError(path, 0, problem) };
}

/** Where the log ends for readers that has lost its end: behind the last whole batch. */
async function readableEnd(
  { directory, segments }: FoundLog,
  { segmentBase, startOffset, endOffset }: Checkpoint,
  environment: LogEnvironment,
  { indexIntervalBytes }: LogOptions,
): Promise<Required<Pick<Lost, 'end' | 'missingFrom'>>> {
  const last = segments.findLast(({ baseOffset }) => baseOffset <= segmentBase);
  const from = { segmentBase: last?.baseOffset ?? segmentBase, offset: endOffset };
  let position = 0;
  let missingFrom = last?.baseOffset ?? startOffset;
  if (last !== undefined) {
    const { baseOffset, fileBytes } = last;
    const segment = new Segment(directory, baseOffset, fileBytes, environment, indexIntervalBytes);
    position = await segment.forEachBatch(0, fileBytes, ({ header }) => {
      missingFrom = header.baseOffset + header.lastOffsetDelta + 1;
    });
    segment.forget();
  }
  return { end: { ...from, position, cutBytes: 0, changed: false }, missingFrom };
}
