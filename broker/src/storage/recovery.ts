import { join } from 'node:path';
import { ProtocolError } from '@millrace/protocol';
import { CheckpointFile } from './checkpoint.js';
import type { Checkpoint } from './checkpoint.js';
import { lostSegments, reportLost } from './compaction/listed-segments.js';
import { CLEANED_ENDING, emptyManifest, recoverCompaction } from './compaction/manifest.js';
import type { CleanedPart } from './compaction/manifest.js';
import { EpochHistory } from './epoch-history.js';
import { DataDirError } from './errors.js';
import type { LogEnvironment, LogOptions } from './log-environment.js';
import {
  CHECKPOINT_FILE,
  COMPACTION_FILE,
  findSegments,
  namesIn,
  removeSegmentFiles,
} from './log-files.js';
import type { FoundSegment } from './log-files.js';
import type { LogState } from './log-state.js';
import { rebuildProducers } from './producer-recovery.js';
import { ProducerSnapshots } from './producer-snapshots.js';
import { Segment } from './segment.js';
import { recoverTail } from './tail-recovery.js';
import type { LogEnd } from './tail-recovery.js';

/** A log's directory as it was left. */
interface Found {
  readonly name: string;
  readonly directory: string;
  readonly checkpoint: CheckpointFile;
  readonly epochs: EpochHistory;
  readonly segments: readonly FoundSegment[];
  /** Where compaction may have taken offsets away. */
  readonly cleaned: CleanedPart;
}

/**
 * Reads a partition's directory. After an unclean stop everything past the checkpoint is checked, the
 * first bad batch ends the log there, what is cut is kept beside it, and the rest is synced before this
 * resolves. Below the checkpoint nothing is ever cut.
 * @throws ProtocolError CORRUPT_LOG when what must be there is missing or damaged.
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
  if (current === undefined && found.segments.length > 0) {
    throw corrupt(`${directory} has segments but no ${CHECKPOINT_FILE}: it was lost`);
  }
  // With a slot lost, the checkpoint may be the one before the last: what it says can be too little.
  const { slotLost } = found.checkpoint;
  const trusted = current !== undefined && cleanStop && !current.tailDistrusted && !slotLost;
  const ceiling = (current?.ceiling ?? 0) + (slotLost ? (current?.reservationStep ?? 0) : 0);
  if (current !== undefined) checkReachesCheckpoint(found, current);
  const end =
    current === undefined
      ? { segmentBase: 0, position: 0, offset: 0, cutBytes: 0, changed: false }
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
  const { states, snapshotOffset } = await rebuildProducers(
    ...([directory, all, end.offset, found, environment] as const),
  );
  const snapshots = new ProducerSnapshots(directory, {
    ...{ producers: states, snapshotOffset, dataEndOffset: end.offset, leaderEpoch },
  });
  const leftovers = leftoversOf(all, startOffset, current?.segmentBase ?? 0);
  await removeLeftovers(found, leftovers, snapshots, end.offset, environment);
  const segments = all.slice(leftovers.length);
  const lost = lostSegments(found.cleaned.segments, segments, startOffset);
  reportLost(directory, lost, environment.logger);
  return {
    segments,
    startOffset,
    cleanedTo: found.cleaned.cleanedTo,
    lostSegments: lost,
    dataEndOffset: end.offset,
    nextOffset,
    leaderEpoch,
    checkpoint: found.checkpoint,
    epochs: found.epochs,
    producers: states,
    snapshotOffset: snapshots.completeOffset,
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
    const [checkpoint, epochs, segments] = await Promise.all([
      CheckpointFile.load(join(directory, CHECKPOINT_FILE)),
      EpochHistory.load(directory),
      findSegments(directory, compacted ? await namesIn(directory) : names),
    ]);
    return { name, directory, checkpoint, epochs, segments, cleaned };
  } catch (error) {
    if (error instanceof DataDirError) throw corrupt(error.message, error);
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

/** Everything below the checkpoint was on the device: if it is gone, that is damage, not a tail. */
function checkReachesCheckpoint(found: Found, checkpoint: Checkpoint): void {
  const { segmentBase, position, startOffset, endOffset } = checkpoint;
  const first = found.segments[0]?.baseOffset ?? endOffset;
  // The start may lie beyond what was synced: records can be deleted up to the end. Compaction explains
  // no gap here, for what it writes begins where its first segment did.
  const explained = first <= startOffset || found.epochs.isGap(startOffset, first);
  if (endOffset > startOffset && !explained) {
    throw corrupt(
      `${found.directory}: the log begins at offset ${startOffset}, but its first segment is ` +
        `missing: there is none before offset ${first}`,
    );
  }
  if (position === 0) return;
  const segment = found.segments.find(({ baseOffset }) => baseOffset === segmentBase);
  if (segment !== undefined && segment.fileBytes >= position) return;
  throw corrupt(
    segment === undefined
      ? `${found.directory}: the segment with base offset ${segmentBase} is missing`
      : `${segment.path} ends at byte ${segment.fileBytes}, but was synced up to ${position}`,
  );
}

function corrupt(message: string, cause?: unknown): ProtocolError {
  return new ProtocolError('CORRUPT_LOG', message, cause === undefined ? {} : { cause });
}
