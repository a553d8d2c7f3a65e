import type { ListedSegment } from './compaction/listed-segments.js';
import type { CheckpointFile } from './checkpoint.js';
import type { CorruptLogError } from './errors.js';
import type { EpochHistory } from './epoch-history.js';
import type { ProducerStates } from './producer-states.js';
import type { Segment } from './segment.js';

/** What a log is made of once its directory has been read, and repaired where it had to be. */
export interface LogState {
  readonly segments: readonly Segment[];
  /** The first offset that the log answers for. */
  readonly startOffset: number;
  /** Below this offset compaction may have taken offsets away. */
  readonly cleanedTo: number;
  /** Segments that are missing there. */
  readonly lostSegments: readonly ListedSegment[];
  /** The offset after the last record. */
  readonly dataEndOffset: number;
  /** Where appending goes on: beyond `dataEndOffset` when offsets there may have been seen. */
  readonly nextOffset: number;
  readonly leaderEpoch: number;
  readonly checkpoint: CheckpointFile;
  readonly epochs: EpochHistory;
  readonly producers: ProducerStates;
  /** Where the stored snapshot of `producers` was taken, if it is still what they are. */
  readonly snapshotOffset: number | undefined;
  /** What the start found below the checkpoint: the log is only read then, and its files stay as they are. */
  readonly damage: CorruptLogError | undefined;
  /** From this offset on up to `dataEndOffset` nothing is left; Infinity: the log reaches its end. */
  readonly missingFrom: number;
  /** Bytes that recovery took off the end. */
  readonly cutBytes: number;
}
