import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ProtocolError } from '@millrace/protocol';
import { syncDirectory } from './atomic-file.js';
import { CheckpointFile } from './checkpoint.js';
import type { Checkpoint } from './checkpoint.js';
import { CLEANED_ENDING, recoverCompaction } from './compaction/manifest.js';
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
import { openStorageFile } from './persistence/file.js';
import { rebuildProducers } from './producer-recovery.js';
import { Segment } from './segment.js';
import { MAX_STORED_BATCH_BYTES } from './storage-config.js';
import { checkTail, endOfContent } from './tail-check.js';

/** A log's directory as it was left. */
interface Found {
  readonly name: string;
  readonly directory: string;
  readonly checkpoint: CheckpointFile;
  readonly epochs: EpochHistory;
  readonly segments: readonly FoundSegment[];
  /** Below this offset compaction may have taken offsets away. */
  readonly cleanedTo: number;
}

/** Where the log ends after its tail was looked at. */
interface LogEnd {
  readonly segmentBase: number;
  readonly position: number;
  readonly offset: number;
  readonly cutBytes: number;
  /** Files are not as they were found any more. */
  readonly changed: boolean;
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
  const end =
    current === undefined
      ? { segmentBase: 0, position: 0, offset: 0, cutBytes: 0, changed: false }
      : trusted
        ? cleanEnd(found, current)
        : await recoverTail(found, { ...current, ceiling }, environment);
  const present = end.changed
    ? await findSegments(directory, await namesIn(directory))
    : found.segments;
  const kept = present.filter(({ baseOffset }) => baseOffset <= end.segmentBase);
  const startOffset = current?.startOffset ?? 0;
  const left = await removeLeftovers(kept, startOffset, current?.segmentBase ?? 0, environment);
  const segments = left.map(
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
  const { latest } = found.epochs;
  const epoch = Math.max(current?.leaderEpoch ?? 0, latest?.epoch ?? 0);
  const begun = nextOffset === end.offset || nextOffset === latest?.startOffset;
  const producers = await rebuildProducers(directory, segments, end.offset, found, environment);
  return {
    segments,
    startOffset,
    cleanedTo: found.cleanedTo,
    dataEndOffset: end.offset,
    nextOffset,
    leaderEpoch: begun ? epoch : epoch + 1,
    checkpoint: found.checkpoint,
    epochs: found.epochs,
    producers: producers.states,
    snapshotOffset: producers.snapshotOffset,
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
    const { cleanedTo } = compacted ? await recoverCompaction(directory) : { cleanedTo: 0 };
    const [checkpoint, epochs, segments] = await Promise.all([
      CheckpointFile.load(join(directory, CHECKPOINT_FILE)),
      EpochHistory.load(directory),
      findSegments(directory, compacted ? await namesIn(directory) : names),
    ]);
    return { name, directory, checkpoint, epochs, segments, cleanedTo };
  } catch (error) {
    if (error instanceof DataDirError) throw corrupt(error.message, error);
    throw error;
  }
}

function cleanEnd(found: Found, checkpoint: Checkpoint): LogEnd {
  const { segmentBase, position, endOffset } = checkpoint;
  checkReachesCheckpoint(found, checkpoint);
  return { segmentBase, position, offset: endOffset, cutBytes: 0, changed: false };
}

/** Removes segments wholly below the start of the log: a crash came between that and their removal. */
async function removeLeftovers(
  segments: readonly FoundSegment[],
  startOffset: number,
  segmentBase: number,
  environment: LogEnvironment,
): Promise<readonly FoundSegment[]> {
  const first = segments.findIndex(({ baseOffset }, i) => {
    const end = segments[i + 1]?.baseOffset ?? segmentBase;
    return baseOffset >= segmentBase || end > startOffset;
  });
  const leftover = first < 0 ? segments : segments.slice(0, first);
  await removeSegmentFiles(
    leftover.map(({ path, indexPath }) => ({ logPath: path, indexPath })),
    environment.logger,
  );
  return segments.slice(leftover.length);
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

async function recoverTail(
  found: Found,
  checkpoint: Checkpoint,
  environment: LogEnvironment,
): Promise<LogEnd> {
  checkReachesCheckpoint(found, checkpoint);
  const tail = found.segments.filter(({ baseOffset }) => baseOffset >= checkpoint.segmentBase);
  let end: LogEnd = {
    segmentBase: checkpoint.segmentBase,
    position: checkpoint.position,
    offset: checkpoint.endOffset,
    cutBytes: 0,
    changed: false,
  };
  let ended = false;
  for (const segment of tail) {
    const follows =
      segment.baseOffset === end.offset ||
      segment.baseOffset === end.segmentBase ||
      found.epochs.explainsGap(end.offset, segment.baseOffset);
    if (ended || !follows) {
      ended = true;
      end = { ...end, cutBytes: end.cutBytes + (await setAside(segment, environment)) };
    } else {
      end = await recoverSegment(found, segment, end, checkpoint, environment);
      // Zeros at the end of a segment that another one continues come from a crash before its trim.
      ended = end.cutBytes > 0;
    }
  }
  if (isAsCheckpointed(found.checkpoint, checkpoint, tail, end)) {
    return { ...end, changed: false };
  }
  await syncDirectoryIfThere(found);
  await found.checkpoint.update({
    segmentBase: end.segmentBase,
    position: end.position,
    endOffset: end.offset,
    ceiling: Math.max(checkpoint.ceiling, end.offset),
    tailDistrusted: false,
  });
  return { ...end, changed: true };
}

/**
 * True when nothing came after the checkpoint, as in most partitions at most times: then there is no
 * name and no checkpoint to make durable again, which thousands of partitions would wait for.
 */
function isAsCheckpointed(
  file: CheckpointFile,
  checkpoint: Checkpoint,
  tail: readonly FoundSegment[],
  end: LogEnd,
): boolean {
  // Where all was sealed the checkpoint is at the start of a segment that is not there yet.
  const asIs = checkpoint.position > 0 ? tail.length === 1 : tail.length === 0;
  return (
    asIs &&
    !file.slotLost &&
    !checkpoint.tailDistrusted &&
    end.cutBytes === 0 &&
    end.segmentBase === checkpoint.segmentBase &&
    end.position === checkpoint.position
  );
}

/** Checks one segment from where the log is known to be good, cuts what is not, and syncs the rest. */
async function recoverSegment(
  found: Found,
  segment: FoundSegment,
  before: LogEnd,
  checkpoint: Checkpoint,
  environment: LogEnvironment,
): Promise<LogEnd> {
  const continues = segment.baseOffset === before.segmentBase;
  const from = continues ? before.position : 0;
  // A segment's first batch has its base offset, also where the log before it ended earlier.
  const offset = from === 0 ? segment.baseOffset : before.offset;
  const file = openStorageFile(environment.native, segment.path, 'readwrite');
  try {
    const checked = checkpoint.tailDistrusted
      ? { end: from, nextOffset: offset, problem: 'an earlier sync of it failed' }
      : checkTail(file, from, {
          offset,
          maxBatchBytes: MAX_STORED_BATCH_BYTES,
          maxLeaderEpoch: Math.max(checkpoint.leaderEpoch, found.epochs.latest?.epoch ?? 0),
        });
    const contentEnd = endOfContent(file, checked.end);
    const cutBytes = contentEnd - checked.end;
    if (cutBytes > 0) {
      const keptAs = `${segment.path}.${checked.end}.cut`;
      await keepBeside(segment.path, keptAs, checked.end, contentEnd);
      environment.logger.warn(
        { log: found.name, file: segment.path, position: checked.end, cutBytes, keptAs },
        `recovery cut an un-synced tail: ${checked.problem ?? 'unreadable'}`,
      );
    }
    if (file.size() > checked.end) file.truncate(checked.end);
    await syncFile(segment.path);
    return {
      segmentBase: segment.baseOffset,
      position: checked.end,
      offset: checked.nextOffset,
      cutBytes: before.cutBytes + cutBytes,
      changed: true,
    };
  } finally {
    file.close();
  }
}

/** Keeps the bytes from `start` up to `end` of a segment in a file of its own. */
async function keepBeside(path: string, keptAs: string, start: number, end: number): Promise<void> {
  await pipeline(createReadStream(path, { start, end: end - 1 }), createWriteStream(keptAs));
  await syncFile(keptAs);
}

/** Takes a whole segment that lies behind the end of the log out of it. */
async function setAside(segment: FoundSegment, environment: LogEnvironment): Promise<number> {
  const keptAs = `${segment.path}.cut`;
  await rename(segment.path, keptAs);
  environment.logger.warn(
    { file: segment.path, keptAs, cutBytes: segment.fileBytes },
    'recovery set aside a segment behind the end of the log',
  );
  return segment.fileBytes;
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectoryIfThere(found: Found): Promise<void> {
  if (found.segments.length > 0) await syncDirectory(found.directory);
}

function corrupt(message: string, cause?: unknown): ProtocolError {
  return new ProtocolError('CORRUPT_LOG', message, cause === undefined ? {} : { cause });
}
