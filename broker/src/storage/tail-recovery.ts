import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { syncDirectory } from './atomic-file.js';
import type { Checkpoint, CheckpointFile } from './checkpoint.js';
import type { EpochHistory } from './epoch-history.js';
import type { LogEnvironment } from './log-environment.js';
import type { FoundSegment } from './log-files.js';
import { openStorageFile } from './persistence/file.js';
import type { StorageFile } from './persistence/file.js';
import { MAX_STORED_BATCH_BYTES } from './storage-config.js';
import { checkTail, endOfContent, endOfContentWithin } from './tail-check.js';
import { unusedName } from './unused-name.js';

const REWRITE_BYTES = 1024 * 1024;

/** Where the log ends after its tail was looked at. */
export interface LogEnd {
  readonly segmentBase: number;
  readonly position: number;
  readonly offset: number;
  readonly cutBytes: number;
  /** Files are not as they were found any more. */
  readonly changed: boolean;
}

/** What recovery needs besides. */
export type TailEnvironment = Pick<LogEnvironment, 'native' | 'logger'>;

/** Which log it is, and how its directory was found. */
export interface FoundTail {
  readonly name: string;
  readonly directory: string;
  readonly checkpoint: CheckpointFile;
  readonly epochs: EpochHistory;
  readonly segments: readonly FoundSegment[];
}

/**
 * Checks everything past `checkpoint`, by which the files were found to go on, after an unclean stop: the
 * first bad batch ends the log there, what is cut is kept beside it. The rest, and a checkpoint at its
 * end, is durable when this resolves.
 */
export async function recoverTail(
  found: FoundTail,
  checkpoint: Checkpoint,
  environment: TailEnvironment,
): Promise<LogEnd> {
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
  // A kill right after the first checkpoint got its name left that to be synced: the ceiling in it counts
  // from now on, and a power cut must not take it back.
  if (found.segments.length === 0) await syncDirectory(found.directory);
  const changed = !isAsCheckpointed(found.checkpoint, checkpoint, tail, end);
  if (changed) {
    await syncDirectoryIfThere(found);
    await found.checkpoint.update({
      segmentBase: end.segmentBase,
      position: end.position,
      endOffset: end.offset,
      ceiling: Math.max(checkpoint.ceiling, end.offset),
      tailDistrusted: false,
    });
  }
  // Into the other slot too: only then are the segments before it sealed.
  if (found.checkpoint.certain.segmentBase < end.segmentBase) await found.checkpoint.update({});
  return { ...end, changed };
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
  found: FoundTail,
  segment: FoundSegment,
  before: LogEnd,
  checkpoint: Checkpoint,
  environment: TailEnvironment,
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
    const contentEnd = contentEndOf(file, checked.end, checkpoint.tailDistrusted);
    const cutBytes = contentEnd - checked.end;
    if (cutBytes > 0) {
      const keptAs = await unusedName(`${segment.path}.${checked.end}.cut`);
      await keepBeside(segment.path, keptAs, checked.end, contentEnd);
      environment.logger.warn(
        { log: found.name, file: segment.path, position: checked.end, cutBytes, keptAs },
        `recovery cut an un-synced tail: ${checked.problem ?? 'unreadable'}`,
      );
    }
    if (file.size() > checked.end) file.truncate(checked.end);
    rewrite(file, from, checked.end);
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

/** Where what is to be kept of a cut tail ends. */
function contentEndOf(file: StorageFile, from: number, syncFailed: boolean): number {
  // Clean pages may be all that there is of a batch then, and the filesystem need not know of them.
  if (syncFailed) return endOfContentWithin(file, { start: from, end: file.size() }) ?? from;
  // What is clean behind the valid batches is zeros that were faulted in ahead, and much of it.
  file.evict(from);
  return endOfContent(file, from);
}

/**
 * Writes the bytes from `start` up to `end` once more, as they are. Pages that an earlier sync failed to
 * write are clean, though they are only in the page cache: a sync alone would succeed, and mean nothing.
 */
function rewrite(file: StorageFile, start: number, end: number): void {
  const window = Buffer.allocUnsafe(Math.min(REWRITE_BYTES, end - start));
  for (let at = start; at < end;) {
    const count = file.read(window.subarray(0, Math.min(window.length, end - at)), at);
    if (count === 0) throw new Error(`${file.path} ends at byte ${at}, before ${end}`);
    file.write([window.subarray(0, count)], at);
    at += count;
  }
}

/** Keeps the bytes from `start` up to `end` of a segment in a file of its own. */
async function keepBeside(path: string, keptAs: string, start: number, end: number): Promise<void> {
  await pipeline(createReadStream(path, { start, end: end - 1 }), createWriteStream(keptAs));
  await syncFile(keptAs);
}

/** Takes a whole segment that lies behind the end of the log out of it. */
async function setAside(segment: FoundSegment, environment: TailEnvironment): Promise<number> {
  const keptAs = await unusedName(`${segment.path}.cut`);
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

async function syncDirectoryIfThere(found: FoundTail): Promise<void> {
  if (found.segments.length > 0) await syncDirectory(found.directory);
}
