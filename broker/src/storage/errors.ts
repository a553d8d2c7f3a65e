import { resolve } from 'node:path';
import { ProtocolError } from '@millrace/protocol';
import { messageOf } from '../message-of.js';

/** Why a data directory cannot be opened. */
export type DataDirProblem =
  'locked' | 'newer-format' | 'not-writable' | 'damaged' | 'not-a-data-directory';

/** The data directory cannot be used; the message says which, why, and what to do. */
export class DataDirError extends Error {
  override readonly name = 'DataDirError';

  constructor(
    readonly problem: DataDirProblem,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * A segment that a reader still holds was removed by retention or replaced by compaction. Whoever gets
 * this starts over with the log's segments as they are now.
 */
export class SegmentGoneError extends Error {
  override readonly name = 'SegmentGoneError';

  constructor(path: string) {
    super(`${path} was removed or replaced meanwhile`);
  }
}

/** Stored data is not what it was when it was written. What lies before it can still be read. */
export class CorruptLogError extends ProtocolError {
  /**
   * @param path the damaged file, or the one that is missing.
   * @param position byte in it.
   * @param problem what is wrong there; as in `there is no record batch`.
   */
  constructor(
    readonly path: string,
    readonly position: number,
    readonly problem: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(
      'CORRUPT_LOG',
      `${path} is damaged at byte ${position}: ${problem}; ${repairOf(path)}`,
      options,
    );
  }
}

/** What an operator does about a damaged file in a partition's directory. */
export function repairOf(path: string): string {
  const dataDir = resolve(path, '../../../..');
  return (
    'stop the broker, and restore the file from a backup or see what can be kept with ' +
    `\`millrace-broker verify ${dataDir} --repair\``
  );
}

/**
 * The errno name (`ENOSPC`, …) of a system error, or undefined. Not by `instanceof`: in a `vm` context,
 * as test runners use, system errors are of another realm.
 */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** True when the disk or the quota is full: the operation may be tried again once there is space. */
export function isDiskFull(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOSPC' || errno === 'EDQUOT';
}

/** System errors after which the same operation may succeed later. */
const PASSING_ERRNOS = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']);

/** True when a failed operation left nothing behind and may be tried again. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof ProtocolError || isDiskFull(error) || PASSING_ERRNOS.has(errnoOf(error) ?? '')
  );
}

/** The calls that put data on the device. Once one of them failed, what it was to put there may be lost. */
const SYNC_CALLS = new Set(['fsync', 'fdatasync', 'msync']);

/**
 * True when a shortage kept a sync from being asked of the device at all (no descriptor for the
 * directory, no room in the pool of syncs): nothing was lost, and it may be asked later. An error that
 * does not name its call is not believed to be one of those.
 */
export function isBeforeSync(error: unknown): boolean {
  if (!PASSING_ERRNOS.has(errnoOf(error) ?? '')) return false;
  const call = syscallOf(error);
  return call !== undefined && !SYNC_CALLS.has(call);
}

function syscallOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('syscall' in error)) return undefined;
  return typeof error.syscall === 'string' ? error.syscall : undefined;
}

/**
 * What a client is told of a failed disk operation.
 * @param what names it, as in `append to orders-3`.
 * @param outcome `final` when the partition is offline because of it.
 */
export function storageFailure(
  what: string,
  error: unknown,
  outcome: 'passing' | 'final' = 'passing',
): ProtocolError {
  if (error instanceof ProtocolError) return error;
  const reason = messageOf(error);
  if (outcome === 'final') {
    return new ProtocolError(
      'PARTITION_OFFLINE',
      `${what} failed: ${reason}; the partition is offline until the broker restarts on a sound disk`,
      { cause: error },
    );
  }
  if (isDiskFull(error)) {
    return new ProtocolError(
      'DISK_FULL',
      `${what}: no space left on the device; free space on the broker's disk and send again`,
      { cause: error },
    );
  }
  const remedy = remedies[errnoOf(error) ?? ''];
  const advice = remedy === undefined ? '' : `; ${remedy}, and send again`;
  return new ProtocolError('STORAGE_ERROR', `${what}: ${reason}${advice}`, { cause: error });
}

/** What an operator does about a shortage. */
const remedies: Readonly<Record<string, string>> = {
  EMFILE:
    'let the broker open more files (ulimit -n, LimitNOFILE of systemd), or lower maxConnections ' +
    'or maxOpenSegmentFiles',
  ENFILE: 'let the system open more files (sysctl fs.file-max)',
  ENOMEM:
    'give the broker more memory or mappings (sysctl vm.max_map_count), or have fewer partitions',
};
