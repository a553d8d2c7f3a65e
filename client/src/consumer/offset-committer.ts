import type { CommitRow } from '../group/membership.js';
import { ignore } from '../util/async.js';
import type { Stand } from './delivery.js';
import type { PartitionReader } from './partition-reader.js';

/** A position to commit for a partition. */
export interface ReaderStand extends Stand {
  readonly reader: PartitionReader;
  readonly metadata: string | null;
}

/** No offset is known to be committed: any is news. */
const NONE = -1;

/** What is committed of a partition, as of so many of its reader's jumps. */
interface Committed {
  readonly offset: number;
  readonly jumps: number;
}

/** A position to commit, and the jumps of its reader when that was said. */
interface Request extends ReaderStand {
  readonly jumps: number;
}

type MakeError = (reader: PartitionReader) => Error;

/**
 * Commits positions, one request after the other: of two that are under way together the older
 * could arrive, or be repeated, last. After a jump of the position (by `seek`, or back into the
 * log) the next commit may take the offset back.
 */
export class OffsetCommitter {
  readonly #commit: (rows: readonly CommitRow[]) => Promise<void>;
  readonly #committed = new Map<PartitionReader, Committed>();
  #tail: Promise<void> = Promise.resolve();

  constructor(commit: (rows: readonly CommitRow[]) => Promise<void>) {
    this.#commit = commit;
  }

  /** A partition has come, with its committed offset where there is one. */
  assigned(reader: PartitionReader, committed: number | undefined): void {
    this.#committed.set(reader, { offset: committed ?? NONE, jumps: reader.jumps });
  }

  /** The partition is not ours any more; what still waits to be committed of it is dropped. */
  forget(reader: PartitionReader): void {
    this.#committed.delete(reader);
  }

  /**
   * Commits those positions that are ahead of what is committed.
   *
   * @param gone makes the error for a partition that has gone while others were committed; without
   *   it such a partition is left out.
   * @throws RebalanceError, FencedInstanceError, BrokerError, ConnectionError
   */
  advance(stands: readonly ReaderStand[], gone?: MakeError): Promise<void> {
    return this.#enqueue(stands, gone, ({ reader, offset }) => offset > this.#offsetOf(reader));
  }

  /** As {@link advance}, wherever they lead. */
  set(stands: readonly ReaderStand[], gone: MakeError): Promise<void> {
    return this.#enqueue(stands, gone, () => true);
  }

  #enqueue(
    stands: readonly ReaderStand[],
    gone: MakeError | undefined,
    isNews: (stand: ReaderStand) => boolean,
  ): Promise<void> {
    const requests = stands.map((stand): Request => ({ ...stand, jumps: stand.reader.jumps }));
    const done = this.#tail.then(async () => {
      // It may have come again, with a reader of its own: what was handled before is not its.
      const ours = requests.filter(({ reader }) => this.#committed.has(reader));
      const strange = requests.find(({ reader }) => !this.#committed.has(reader));
      if (strange !== undefined && gone !== undefined) throw gone(strange.reader);
      const news = ours.filter(isNews);
      if (news.length === 0) return;
      await this.#commit(news.map(rowOf));
      for (const { reader, offset, jumps } of news) {
        if (this.#committed.has(reader)) this.#committed.set(reader, { offset, jumps });
      }
    });
    this.#tail = done.catch(ignore);
    return done;
  }

  #offsetOf(reader: PartitionReader): number {
    const committed = this.#committed.get(reader);
    return committed?.jumps === reader.jumps ? committed.offset : NONE;
  }
}

function rowOf({ reader, offset, leaderEpoch, metadata }: ReaderStand): CommitRow {
  const { topic, topicId, partition } = reader;
  return { topic, topicId, partition, offset, leaderEpoch, metadata };
}
