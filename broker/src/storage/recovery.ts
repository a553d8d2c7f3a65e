import { join } from 'node:path';
import { ProtocolError } from '@millrace/protocol';
import { CheckpointFile } from './checkpoint.js';
import type { Checkpoint } from './checkpoint.js';
import { damageOf, lostSegments } from './compaction/listed-segments.js';
import { CLEANED_ENDING, emptyManifest, recoverCompaction } from './compaction/manifest.js';
import type { CleanedPart } from './compaction/manifest.js';
import { EpochHistory } from './epoch-history.js';
import { readDamage } from './damage.js';
import { CorruptLogError, DataDirError, repairOf } from './errors.js';
import type { LogEnvironment, LogOptions } from './log-environment.js';
import {
  CHECKPOINT_FILE,
  COMPACTION_FILE,
  findSegments,
  namesIn,
  removeSegmentFiles,
} from './log-files.js';
import type { LogState } from './log-state.js';
import { checkMetadata, findLost } from './lost-data.js';
import type { FoundLog } from './lost-data.js';
import { noProducers, rebuildProducers } from './producer-recovery.js';
import type { RecoveredProducers } from './producer-recovery.js';
import { ProducerSnapshots } from './producer-snapshots.js';
import { Segment } from './segment.js';
import { recoverTail } from './tail-recovery.js';
import type { LogEnd } from './tail-recovery.js';

/** A log's directory as it was left. */
interface Found extends FoundLog {
  readonly name: string;
  /** Where compaction may have taken offsets away. */
  readonly cleaned: CleanedPart;
}

/**
 * Reads a partition's directory. After an unclean stop everything past the checkpoint is checked, the
 * first bad batch ends the log there, what is cut is kept beside it, and the rest is synced before this
 * resolves. Below the checkpoint nothing is ever cut: where something is missing there, the log comes up
 * damaged, and what is left of it can be read.
 * @throws ProtocolError CORRUPT_LOG when what tells of the log is missing or damaged.
 */
export async function recoverLog(
  name: string,
  directory: string,
  cleanStop: boolean,
  environment: LogEnvironment,
  options: LogOptions,
): Promise<LogState> {
  const found = await readDirectory(name, directory);
  const { current } = found.checkpoint;
  checkMetadata(found);
  // With a slot lost, the checkpoint may be the one before the last: what it says can be too little.
  const { slotLost } = found.checkpoint;
  const trusted = current !== undefined && cleanStop && !current.tailDistrusted && !slotLost;
  const ceiling = (current?.ceiling ?? 0) + (slotLost ? (current?.reservationStep ?? 0) : 0);
  const lost = current && (await findLost(found, current, environment, options));
  const end =
    current === undefined
      ? { segmentBase: 0, position: 0, offset: 0, cutBytes: 0, changed: false }
      : lost?.end !== undefined
        ? lost.end
        : trusted
          ? cleanEnd(current)
          : await recoverTail(found, { ...current, ceiling }, environment);
  const present = end.changed
    ? await findSegments(directory, await namesIn(directory))
    : found.segments;
  const kept = present.filter(({ baseOffset }) => baseOffset <= end.segmentBase);
  const startOffset = current?.startOffset ?? 0;
  const all = kept.map(
    ({ baseOffset, fileBytes }) =>
      new Segment(
        directory,
        baseOffset,
        baseOffset === end.segmentBase ? end.position : fileBytes,
        environment,
        options.indexIntervalBytes,
      ),
  );
  const nextOffset = Math.max(end.offset, ceiling);
  const leaderEpoch = leaderEpochAt(nextOffset, end.offset, found);
  const cleaned = lostSegments(found.cleaned.segments, all, startOffset);
  const gone = lost?.damage ?? damageOf(directory, cleaned);
  const { states, snapshotOffset, damage } = await producersOf(
    ...([found, all, end.offset, gone, environment] as const),
  );
  const snapshots = new ProducerSnapshots(directory, {
    ...{ producers: states, snapshotOffset, dataEndOffset: end.offset, leaderEpoch },
  });
  const leftovers = leftoversOf(all, startOffset, current?.segmentBase ?? 0);
  if (damage === undefined) {
    await removeLeftovers(found, leftovers, snapshots, end.offset, environment);
  } else report(found, damage, environment);
  const segments = all.slice(leftovers.length);
  return {
    segments,
    startOffset,
    cleanedTo: found.cleaned.cleanedTo,
    lostSegments: cleaned,
    dataEndOffset: end.offset,
    nextOffset,
    leaderEpoch,
    checkpoint: found.checkpoint,
    epochs: found.epochs,
    producers: states,
    snapshotOffset: snapshots.completeOffset,
    damage,
    missingFrom: lost?.missingFrom ?? Infinity,
    cutBytes: end.cutBytes,
  };
}

async function readDirectory(name: string, directory: string): Promise<Found> {
  try {
    const names = await namesIn(directory);
    const compacted = names.some(
      (file) => file === COMPACTION_FILE || file.endsWith(CLEANED_ENDING),
    );
    // Before the segments are looked at: it ends what a crash interrupted.
    const cleaned = compacted ? await recoverCompaction(directory) : emptyManifest;
    const left = compacted ? await namesIn(directory) : names;
    const [checkpoint, epochs, segments] = await Promise.all([
      CheckpointFile.load(join(directory, CHECKPOINT_FILE)),
      EpochHistory.load(directory),
      findSegments(directory, left),
    ]);
    return { name, directory, checkpoint, epochs, segments, names: left, cleaned };
  } catch (error) {
    if (error instanceof DataDirError) throw unreadable(error, directory);
    throw error;
  }
}

/** The epoch of what is appended at `nextOffset`: a new one where offsets were given up. */
function leaderEpochAt(nextOffset: number, endOffset: number, found: Found): number {
  const { latest } = found.epochs;
  const epoch = Math.max(found.checkpoint.current?.leaderEpoch ?? 0, latest?.epoch ?? 0);
  const begun = nextOffset === endOffset || nextOffset === latest?.startOffset;
  return begun ? epoch : epoch + 1;
}

function cleanEnd({ segmentBase, position, endOffset }: Checkpoint): LogEnd {
  return { segmentBase, position, offset: endOffset, cutBytes: 0, changed: false };
}

/** Segments wholly below the start of the log: a crash came between that and their removal. */
function leftoversOf(
  segments: readonly Segment[],
  startOffset: number,
  segmentBase: number,
): readonly Segment[] {
  const first = segments.findIndex(({ baseOffset }, i) => {
    const end = segments[i + 1]?.baseOffset ?? segmentBase;
    return baseOffset >= segmentBase || end > startOffset;
  });
  return first < 0 ? segments : segments.slice(0, first);
}

/** Removes them, once all that a restart needs is durable without them; else at another start. */
async function removeLeftovers(
  { name, checkpoint }: Found,
  leftovers: readonly Segment[],
  producers: ProducerSnapshots,
  endOffset: number,
  environment: LogEnvironment,
): Promise<void> {
  if (leftovers.length === 0) return;
  for (const segment of leftovers) await segment.leave();
  try {
    const start = checkpoint.current?.startOffset ?? 0;
    if (checkpoint.certain.startOffset < start) await checkpoint.updateBoth();
    await producers.write(producers.image(endOffset));
    await producers.makeNameDurable();
    await removeSegmentFiles(leftovers, environment);
  } catch (error) {
    environment.logger.warn(
      { err: error, log: name },
      'segments below the start of the log stay until a restart can write down their producers',
    );
  }
}

interface KnownProducers extends RecoveredProducers {
  readonly damage: CorruptLogError | undefined;
}

/** Of a log that takes no appends none need be known. */
async function producersOf(
  found: Found,
  segments: readonly Segment[],
  endOffset: number,
  lost: CorruptLogError | undefined,
  environment: LogEnvironment,
): Promise<KnownProducers> {
  const damage = lost ?? (await readDamage(found.directory));
  const none = { states: noProducers(environment), snapshotOffset: undefined };
  if (damage !== undefined) return { ...none, damage };
  try {
    const { directory } = found;
    const known = await rebuildProducers(directory, segments, endOffset, found, environment);
    return { ...known, damage: undefined };
  } catch (error) {
    if (!(error instanceof CorruptLogError)) throw error;
    return { ...none, damage: error };
  }
}

function report({ name }: Found, damage: CorruptLogError, { logger }: LogEnvironment): void {
  const what = 'what is sound of it is served, and it takes no appends';
  logger.error({ err: damage, log: name }, `${name}: ${damage.message}; until then ${what}`);
}

function unreadable(error: DataDirError, directory: string): ProtocolError {
  const message = `${error.message}; ${repairOf(join(directory, CHECKPOINT_FILE))}`;
  return new ProtocolError('CORRUPT_LOG', message, { cause: error });
}
