import type { Log } from './log.js';
import type { LogOptions } from './log-environment.js';
import type { Segment } from './segment.js';
import { UNLIMITED } from './storage-config.js';

/** What retention needs of a log. */
export type RetainedLog = Pick<
  Log,
  | 'options'
  | 'startOffset'
  | 'sizeBytes'
  | 'lastSegment'
  | 'canSeal'
  | 'seal'
  | 'sealedSegments'
  | 'endOf'
  | 'removeBefore'
>;

/** Up to where a log is to go, and why. */
interface Limit {
  readonly offset: number;
  readonly reason: string;
}

/**
 * Seals a log's last segment when it is due, and removes the sealed segments that are not to be kept.
 *
 * As in Kafka (`UnifiedLog.deleteOldSegments`): a segment is as old as its newest record, and as its file
 * where the records bear no time; by size the oldest go as long as `retention.bytes` are left; neither
 * goes for a topic that is only compacted. The segment appended to is sealed and goes too, once all
 * before it are expired and so is it. Other than there, `segment.ms` seals it although nobody appends,
 * so that retention and compaction get at the data of a log that has fallen silent.
 *
 * @throws ProtocolError or an errno error; what was done until then stays so.
 */
export async function applyRetention(log: RetainedLog, nowMs: number): Promise<void> {
  if (await isSealDue(log, nowMs)) await log.seal();
  const sealed = log.sealedSegments();
  const [oldest] = sealed;
  if (oldest === undefined) return;
  const limits = [byStart(log, oldest), bySize(log, sealed), await byTime(log, sealed, nowMs)];
  for (const limit of limits) {
    if (limit !== undefined) await log.removeBefore(limit.offset, limit.reason);
  }
}

function deletes({ options }: RetainedLog): boolean {
  return options.cleanupPolicy !== 'compact';
}

async function isSealDue(log: RetainedLog, nowMs: number): Promise<boolean> {
  const { lastSegment: last, options } = log;
  if (last === undefined || !log.canSeal) return false;
  if (nowMs - (await last.firstAppendMs()) > sealAgeMs(options)) return true;
  if (!deletes(log) || options.retentionMs === UNLIMITED) return false;
  const all = [...log.sealedSegments(), last];
  return (await countExpired(all, nowMs - options.retentionMs)) === all.length;
}

/** `segment.ms`, or sooner where compaction has to get at the records in time. */
function sealAgeMs({ cleanupPolicy, maxCompactionLagMs, segmentMs }: LogOptions): number {
  const bounded = cleanupPolicy !== 'delete' && maxCompactionLagMs !== UNLIMITED;
  return bounded ? Math.min(segmentMs, maxCompactionLagMs) : segmentMs;
}

/** Segments that were not sealed yet when the records in them were deleted. */
function byStart(log: RetainedLog, oldest: Segment): Limit | undefined {
  if (log.endOf(oldest) > log.startOffset) return undefined;
  return { offset: log.startOffset, reason: 'they are below the start of the log' };
}

function bySize(log: RetainedLog, sealed: readonly Segment[]): Limit | undefined {
  const { retentionBytes } = log.options;
  if (!deletes(log) || retentionBytes === UNLIMITED) return undefined;
  let excess = log.sizeBytes - retentionBytes;
  let last: Segment | undefined;
  for (const segment of sealed) {
    excess -= segment.sizeBytes;
    if (excess < 0) break;
    last = segment;
  }
  if (last === undefined) return undefined;
  return { offset: log.endOf(last), reason: `the log exceeds retention.bytes (${retentionBytes})` };
}

async function byTime(
  log: RetainedLog,
  sealed: readonly Segment[],
  nowMs: number,
): Promise<Limit | undefined> {
  const { retentionMs } = log.options;
  if (!deletes(log) || retentionMs === UNLIMITED) return undefined;
  const last = sealed[(await countExpired(sealed, nowMs - retentionMs)) - 1];
  if (last === undefined) return undefined;
  return { offset: log.endOf(last), reason: `they are older than retention.ms (${retentionMs})` };
}

/** How many segments from the first on have nothing at or after `keptFromMs`. */
async function countExpired(segments: readonly Segment[], keptFromMs: number): Promise<number> {
  for (const [i, segment] of segments.entries()) {
    const newest = await segment.maxTimestampMs();
    const time = newest >= 0 ? newest : await segment.modifiedMs();
    if (time >= keptFromMs) return i;
  }
  return segments.length;
}
