/** One segment as a job reads it: a sealed file that does not change any more. */
export interface CompactionInput {
  readonly path: string;
  readonly baseOffset: number;
  readonly sizeBytes: number;
}

/** What a pass over one log is to do. Plain data: it goes to a worker thread. */
export interface CompactionJob {
  /** Where cleaned files are written. */
  readonly directory: string;
  /** Adjacent segments from the log's first on, oldest first. */
  readonly inputs: readonly CompactionInput[];
  /** The base offset of the segment behind the last input. */
  readonly end: number;
  /** Records below this offset were deleted: they go. */
  readonly startOffset: number;
  /** Below this offset an earlier pass left one record for each key. */
  readonly dirtyFrom: number;
  /** Tombstones below this offset have been kept long enough: they go. */
  readonly tombstonesGoBefore: number;
  /** Neighbours are merged as long as the result stays below this. */
  readonly segmentBytes: number;
  readonly indexIntervalBytes: number;
  /** Memory for the offsets of keys. */
  readonly mapBytes: number;
  /** Read and written together. */
  readonly bytesPerSecond: number;
  /** Producers that the log knows: each keeps its last batch, even without any record. */
  readonly producers: Float64Array;
  /** Base offsets of the batches that the log recognises repeats of; these are kept as well. */
  readonly rememberedBatches: Float64Array;
}

/** Segments that one cleaned file is to take the place of. */
export interface CleanedGroup {
  /** Base offset of the first of them, and of the cleaned file. */
  readonly base: number;
  /** The base offset of the segment behind the last of them. */
  readonly end: number;
  readonly segments: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** What a pass did. */
export interface CompactionResult {
  /** Below this offset each key has one record now. */
  readonly dirtyFrom: number;
  /** The lowest offset of a tombstone that was kept; -1: none was. */
  readonly firstTombstone: number;
  readonly recordsRead: number;
  readonly recordsKept: number;
  /** Records without a key, which are all kept; see `keep-rule.ts`. */
  readonly keylessRecords: number;
  /** Batches that are sound but for their records, which cannot be read: they stay as they are. */
  readonly unreadableBatches: number;
  /** Where the first of them is, and what is wrong with it. */
  readonly firstUnreadable: string | undefined;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Different keys in the part that was dirty. */
  readonly keys: number;
}

/** How a job tells what it has done, and learns that it is to stop. */
export interface JobControl {
  /** A cleaned file is complete and synced; the job goes on when it has taken its place. */
  readonly onGroup: (group: CleanedGroup) => Promise<void>;
  readonly signal?: AbortSignal;
}
