import type { StorageFile } from './persistence/file.js';

/**
 * A stretch of a segment that a consumer is to get, unread: persistence and serving meet here, and
 * know nothing else of each other. Its bytes never change, and its file stays open until `release`.
 */
export interface FileRegion {
  readonly file: StorageFile;
  /** Byte position in the file. */
  readonly position: number;
  readonly length: number;
  /** How far a mapping of the file may reach: the segment's capacity, or its size once sealed. */
  readonly mappableBytes: number;
  /** Lets go of the file: exactly once, when the region was sent or dropped. */
  release(): void;
}

/** What is known of the batches in a region without reading them: by the index, the epochs, the list of segments. */
export interface RegionBatches {
  /** Base offset of the first; -1: only its header says. */
  readonly firstOffset: number;
  /** Leader epochs that they may bear. */
  readonly lowestEpoch: number;
  readonly highestEpoch: number;
  /** Each begins at the offset behind the one before: compaction was not here. */
  readonly gapless: boolean;
}

/** A region of a log. */
export interface LogRegion extends FileRegion {
  readonly batches: RegionBatches;
}
