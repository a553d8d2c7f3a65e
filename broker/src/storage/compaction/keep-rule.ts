import type { BatchHeader, RecordCursor } from '@millrace/protocol';
import type { CompactionJob } from './job.js';
import type { OffsetMap } from './offset-map.js';

/** Producers of batches in the part of a log that was dirty, by the last batch of each. */
export type LastBatches = ReadonlyMap<number, number>;

/**
 * What a pass leaves of a log, as Kafka's cleaner does (LogCleaner.java) but for one thing: records
 * without a key stay. The broker refuses them where a topic is compacted, so they are from before that,
 * and to set `cleanup.policy` is not to ask for their deletion (`compact,delete` removes them in time).
 */
export class KeepRule {
  recordsRead = 0;
  recordsKept = 0;
  keylessRecords = 0;
  /** The lowest offset of a tombstone that is kept; -1: none is. */
  firstTombstone = -1;
  unreadableBatches = 0;
  firstUnreadable: string | undefined;
  readonly #producers: ReadonlySet<number>;
  readonly #remembered: ReadonlySet<number>;

  constructor(
    private readonly job: Pick<
      CompactionJob,
      'startOffset' | 'tombstonesGoBefore' | 'producers' | 'rememberedBatches'
    >,
    private readonly latest: OffsetMap,
    private readonly lastBatches: LastBatches,
  ) {
    this.#producers = new Set(job.producers);
    this.#remembered = new Set(job.rememberedBatches);
  }

  /**
   * A record stays unless a later one has its key. Those behind the end of the map are later than what
   * the map knows of their keys, or their keys are not in it.
   */
  readonly keepsRecord = (record: RecordCursor): boolean => {
    this.recordsRead += 1;
    const { offset } = record;
    if (offset < this.job.startOffset) return false;
    if (record.keyLength < 0) {
      this.keylessRecords += 1;
    } else {
      if (offset < this.latest.get(record.bytes, record.keyStart, record.keyLength)) return false;
      if (record.valueLength < 0) {
        if (offset < this.job.tombstonesGoBefore) return false;
        if (this.firstTombstone < 0) this.firstTombstone = offset;
      }
    }
    this.recordsKept += 1;
    return true;
  };

  /** Takes notice of a batch that stays because its records cannot be read. */
  unreadable(problem: string): void {
    this.unreadableBatches += 1;
    this.firstUnreadable ??= problem;
  }

  /** True when a batch is wholly below the log's start. */
  isDeleted({ baseOffset, lastOffsetDelta }: BatchHeader): boolean {
    return baseOffset + lastOffsetDelta < this.job.startOffset;
  }

  /**
   * True when a batch stays although no record of it does, for a restart that has to learn from the
   * log what its producer sent last, so that a repeat is recognised and what comes next is not refused.
   * That is each batch that repeats are recognised of, and the last one of its producer before the end
   * of this pass: of those behind it a power cut may take away what was not synced. A producer that
   * the dirty part has nothing of keeps what earlier passes left of it.
   */
  keepsEmptied({ producerId, baseOffset }: BatchHeader): boolean {
    if (producerId < 0 || !this.#producers.has(producerId)) return false;
    if (this.#remembered.has(baseOffset)) return true;
    return (this.lastBatches.get(producerId) ?? baseOffset) === baseOffset;
  }
}
