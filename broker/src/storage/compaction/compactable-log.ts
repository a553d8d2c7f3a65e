import type { ProtocolError } from '@millrace/protocol';
import type { LogOptions } from '../log-environment.js';
import type { ProducerStates } from '../producer-states.js';
import type { SegmentSwap } from '../segment-list.js';
import type { Segment } from '../segment.js';
import type { ListedSegment } from './listed-segments.js';

/** What compaction needs of a log. */
export interface CompactableLog {
  /** For messages: `topic-partition`. */
  readonly name: string;
  readonly directory: string;
  readonly options: LogOptions;
  readonly startOffset: number;
  readonly producers: ProducerStates;
  /** Why the log takes no more appends: then it is left alone. */
  readonly failure: ProtocolError | undefined;
  /** True once it is closed or its topic deleted. */
  readonly closed: boolean;
  /** What is missing below the end of the last pass. */
  readonly lostSegments: readonly ListedSegment[];
  /** Synced, let go, and wholly below the durable checkpoint; from the log's first on, oldest first. */
  sealedSegments(): readonly Segment[];
  /** The base offset of the segment behind a sealed one. */
  endOf(segment: Segment): number;
  /** Puts one segment in the place of adjacent sealed ones, see {@link SegmentSwap}. */
  replaceSegments(inputs: readonly Segment[], swap: SegmentSwap): Promise<void>;
}
