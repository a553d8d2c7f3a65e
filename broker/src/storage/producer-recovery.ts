import type { Checkpoint, CheckpointFile } from './checkpoint.js';
import type { EpochHistory } from './epoch-history.js';
import { CorruptLogError } from './errors.js';
import type { LogEnvironment } from './log-environment.js';
import { readProducerSnapshot } from './producer-snapshot-file.js';
import { ProducerStates } from './producer-states.js';
import type { Segment } from './segment.js';

/** What is known of a log's producers. */
export interface RecoveredProducers {
  readonly states: ProducerStates;
  /** The offset of the stored snapshot, when it says all of that; undefined when a new one is due. */
  readonly snapshotOffset: number | undefined;
}

/**
 * What the log's batches say of their producers: the snapshot, and the batches after it. Without a
 * snapshot that can be used the whole log is walked, by its batch headers. One that was taken of a
 * tail which is gone must not be: repeats of lost batches would be answered as if they were there.
 * @throws ProtocolError CORRUPT_LOG
 */
export async function rebuildProducers(
  directory: string,
  segments: readonly Segment[],
  endOffset: number,
  { epochs, checkpoint }: { readonly epochs: EpochHistory; readonly checkpoint: CheckpointFile },
  environment: LogEnvironment,
): Promise<RecoveredProducers> {
  const states = noProducers(environment);
  // The segments may be gone, and the producers of what they held still go on.
  if (endOffset === 0) return { states, snapshotOffset: undefined };
  const snapshot = await readProducerSnapshot(directory, environment);
  const usable =
    snapshot !== undefined &&
    snapshot.offset <= endOffset &&
    !epochs.isAbandoned(snapshot.offset, snapshot.leaderEpoch) &&
    states.restore(snapshot.producers);
  const from = usable ? heldTo(snapshot.offset, endOffset, checkpoint.current) : 0;
  const { version } = states;
  const recovered = (): RecoveredProducers => {
    const complete = usable && states.version === version;
    return { states, snapshotOffset: complete ? snapshot.offset : undefined };
  };
  if (from === endOffset) return recovered();
  const nowMs = environment.now();
  for (const [i, segment] of segments.entries()) {
    const next = segments[i + 1];
    if (next !== undefined && next.baseOffset <= from) continue;
    const first = await segment.locate(from, segment.sizeBytes);
    if (first === undefined) continue;
    const walkedTo = await segment.forEachBatch(first.position, segment.sizeBytes, ({ header }) => {
      states.record(header, header.baseOffset, 0, nowMs);
    });
    if (walkedTo < segment.sizeBytes) {
      const problem = 'there is no record batch, where one must start';
      throw new CorruptLogError(segment.logPath, walkedTo, problem);
    }
  }
  return recovered();
}

/** The producers of a log of which nothing is known. */
export function noProducers({ config }: LogEnvironment): ProducerStates {
  return new ProducerStates({
    maxProducers: config.maxProducersPerPartition,
    expirationMs: config.producerExpirationMs,
  });
}

/** Up to where the log was looked through, and nothing found that the snapshot lacks. */
function heldTo(offset: number, endOffset: number, checkpoint: Checkpoint | undefined): number {
  if (checkpoint?.snapshotOffset !== offset) return offset;
  const { snapshotHoldsTo } = checkpoint;
  return snapshotHoldsTo > offset && snapshotHoldsTo <= endOffset ? snapshotHoldsTo : offset;
}
