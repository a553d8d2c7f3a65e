/** What became of old data, since the start. A metrics scrape reads it. */
export class StorageCounters {
  /** By retention, and below what was deleted on request. */
  removedSegments = 0;
  removedBytes = 0;
  /** Passes over a log that came to their end. */
  compactions = 0;
  /** Passes that failed; each is tried again. */
  compactionFailures = 0;
  compactionMs = 0;
  /** Bytes of the segments that passes went over, and what was left of them. */
  compactionInputBytes = 0;
  compactionOutputBytes = 0;
  compactionRemovedRecords = 0;

  removed(segments: number, bytes: number): void {
    this.removedSegments += segments;
    this.removedBytes += bytes;
  }

  compacted(pass: CountedPass, ms: number): void {
    this.compactions += 1;
    this.compactionMs += ms;
    this.compactionInputBytes += pass.bytesBefore;
    this.compactionOutputBytes += pass.bytesAfter;
    this.compactionRemovedRecords += pass.recordsRead - pass.recordsKept;
  }
}

/** What is counted of a pass. */
interface CountedPass {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly recordsRead: number;
  readonly recordsKept: number;
}
