import { type BatchHeader, type FetchResult } from '@millrace/protocol';

/** What a fetched row says of the batches that it brings. */
export type FetchedRow = Pick<
  FetchResult,
  'highWatermark' | 'firstOffset' | 'lowestEpoch' | 'highestEpoch' | 'gapless'
>;

/**
 * Checks the places in the log that fetched batches claim. Base offset and leader epoch are written by the
 * broker and lie outside of the checksum that the producer made; so a disk can change them, and only
 * their neighbours and what the broker knows of the row tell.
 */
export class BatchChain {
  #row: FetchedRow;
  /** What is behind the last batch; undefined before the first. */
  #next: number | undefined;

  /** @param fetchOffset what was asked for: each row begins with the batch that holds it, or comes next */
  constructor(
    row: FetchedRow,
    private readonly fetchOffset: number,
  ) {
    this.#row = row;
  }

  /** What is wrong with the place of the next batch; undefined when it fits. */
  problemOf(header: BatchHeader): string | undefined {
    const { baseOffset, lastOffsetDelta, partitionLeaderEpoch: epoch } = header;
    const { highWatermark, lowestEpoch, highestEpoch } = this.#row;
    const nextOffset = baseOffset + lastOffsetDelta + 1;
    const problem = this.#offsetProblem(baseOffset, nextOffset);
    if (problem !== undefined) return problem;
    if (lowestEpoch >= 0 && (epoch < lowestEpoch || epoch > highestEpoch)) {
      const known = lowestEpoch === highestEpoch ? '' : ` to ${highestEpoch}`;
      return `the batch has leader epoch ${epoch}, where it is ${lowestEpoch}${known}`;
    }
    if (highWatermark >= 0 && nextOffset > highWatermark) {
      return `the batch ends at offset ${nextOffset - 1}, beyond the log's end at ${highWatermark}`;
    }
    this.#next = nextOffset;
    return undefined;
  }

  #offsetProblem(baseOffset: number, nextOffset: number): string | undefined {
    const { firstOffset, gapless } = this.#row;
    // A broker that does not tell may send batches that lie before.
    if (firstOffset < 0) return undefined;
    if (this.#next === undefined) {
      if (baseOffset !== firstOffset) {
        return `the batch has base offset ${baseOffset}, where the log has ${firstOffset}`;
      }
    } else if (gapless ? baseOffset !== this.#next : baseOffset < this.#next) {
      const must = gapless ? `${this.#next}` : `at least ${this.#next}`;
      return `the batch has base offset ${baseOffset}, where ${must} must follow`;
    }
    if (nextOffset > this.fetchOffset) return undefined;
    return `the batch ends at offset ${nextOffset - 1}, before the one that was asked for`;
  }
}
