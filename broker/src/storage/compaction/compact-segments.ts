import { filterBatch } from '@millrace/protocol';
import { BatchSource } from './batch-source.js';
import type { SourceBatch } from './batch-source.js';
import { buildMap, isUnreadable, withEnds } from './build-map.js';
import { CleanedFile } from './cleaned-file.js';
import { emptiedBatch } from './emptied-batch.js';
import { GroupWriter } from './group-writer.js';
import type { CompactionInput, CompactionJob, CompactionResult, JobControl } from './job.js';
import { KeepRule } from './keep-rule.js';
import { Pace } from './pace.js';

/**
 * One pass over a log, as Kafka's cleaner makes it (Cleaner.java): the dirty part is read for the latest
 * offset of each key, then everything from the log's first segment on is rewritten, oldest first and
 * group by group, so that a record is gone before the tombstone that deleted it.
 *
 * When there is no room for more keys, the pass ends at the segment where that was; the rest is the
 * next one's.
 * @throws ProtocolError CORRUPT_LOG and others naming file and position, an errno error, or the reason
 *   of the signal. No incomplete file is left then, unless the thread was ended from outside.
 */
export async function compactSegments(
  job: CompactionJob,
  { onGroup, signal }: JobControl,
): Promise<CompactionResult> {
  const pace = new Pace(job.bytesPerSecond, signal);
  const source = new BatchSource(pace, job.bytesPerSecond);
  const dirty = await buildMap(job, source);
  const rule = new KeepRule(job, dirty.map, dirty.lastBatches);
  const buffer = CleanedFile.buffer();
  let bytesBefore = 0;
  let bytesSaved = 0;
  let group: GroupWriter | undefined;
  const endGroup = async (end: number): Promise<void> => {
    const cleaned = await group?.finish(end);
    group = undefined;
    if (cleaned === undefined) return;
    bytesSaved += cleaned.bytesBefore - cleaned.bytesAfter;
    await onGroup(cleaned);
  };
  try {
    for (const [input, end] of withEnds(job)) {
      if (input.baseOffset >= dirty.end) break;
      if (group?.takes(input, end) === false) await endGroup(input.baseOffset);
      group ??= new GroupWriter(job, input, buffer, pace);
      await group.begin(input);
      bytesBefore += input.sizeBytes;
      for await (const batches of source.batches(input)) {
        for (const batch of batches) await rewrite(batch, input, rule, group);
      }
    }
    const last = withEnds(job).findLast(([input]) => input.baseOffset < dirty.end);
    if (last !== undefined) await endGroup(last[1]);
  } finally {
    group?.abort();
  }
  const { recordsRead, recordsKept, keylessRecords, firstTombstone } = rule;
  const { unreadableBatches, firstUnreadable } = rule;
  return {
    dirtyFrom: Math.max(job.dirtyFrom, dirty.end),
    ...{ firstTombstone, recordsRead, recordsKept, keylessRecords },
    ...{ unreadableBatches, firstUnreadable },
    bytesBefore,
    bytesAfter: bytesBefore - bytesSaved,
    keys: dirty.map.size,
  };
}

/** Passes on what is left of one batch. Batches that nothing was taken from stay byte for byte. */
async function rewrite(
  { view, bytes, position }: SourceBatch,
  input: CompactionInput,
  rule: KeepRule,
  group: GroupWriter,
): Promise<void> {
  const { header } = view;
  const left = whatIsLeft(view, position, input, rule);
  if (left === 'unchanged') await group.keep(bytes, header);
  else if (left !== undefined) await group.replace(left, header);
  else if (!rule.keepsEmptied(header)) await group.replace(undefined, header);
  else if (header.recordCount === 0) await group.keep(bytes, header);
  else await group.replace(emptiedBatch(bytes), header);
}

/** Undefined: no record is. */
function whatIsLeft(
  view: SourceBatch['view'],
  position: number,
  input: CompactionInput,
  rule: KeepRule,
): Buffer | 'unchanged' | undefined {
  if (view.recordCount === 0 || rule.isDeleted(view.header)) return undefined;
  if (view.isControl) return 'unchanged';
  try {
    return filterBatch(view, rule.keepsRecord).bytes;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    rule.unreadable(`${input.path} at byte ${position}: ${error.message}`);
    return 'unchanged';
  }
}
