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

/**
 * Commits positions, one request after the other: of two that are under way together the older
 * could arrive, or be repeated, last.
 */
export class OffsetCommitter {
  readonly #commit: (rows: readonly CommitRow[]) => Promise<void>;
  readonly #committed = new Map<PartitionReader, number>();
  #tail: Promise<void> = Promise.resolve();

  constructor(commit: (rows: readonly CommitRow[]) => Promise<void>) {
    this.#commit = commit;
  }

  /** A partition has come, with its committed offset where there is one. */
  assigned(reader: PartitionReader, committed: number | undefined): void {
    this.#committed.set(reader, committed ?? NONE);
  }

  /** The partition is not ours any more; what still waits to be committed of it is dropped. */
  forget(reader: PartitionReader): void {
    this.#committed.delete(reader);
  }

  /** The application set the position: the next commit may take it back. */
  jumped(reader: PartitionReader): void {
    if (this.#committed.has(reader)) this.#committed.set(reader, NONE);
  }

  /**
   * Commits those positions that are ahead of what is committed.
   *
   * @throws RebalanceError, FencedInstanceError, BrokerError, ConnectionError
   */
  advance(stands: readonly ReaderStand[]): Promise<void> {
    return this.#enqueue(() =>
      stands.filter(({ reader, offset }) => offset > (this.#committed.get(reader) ?? Infinity)),
    );
  }

  /** As {@link advance}, wherever they lead. */
  set(stands: readonly ReaderStand[]): Promise<void> {
    return this.#enqueue(() => stands);
  }

  #enqueue(choose: () => readonly ReaderStand[]): Promise<void> {
    const done = this.#tail.then(async () => {
      const stands = choose();
      if (stands.length === 0) return;
      const before = new Map(stands.map(({ reader }) => [reader, this.#committed.get(reader)]));
      await this.#commit(stands.map(rowOf));
      for (const { reader, offset } of stands) {
        // Unless it went or jumped meanwhile.
        const last = before.get(reader);
        const same = last !== undefined && this.#committed.get(reader) === last;
        if (same) this.#committed.set(reader, offset);
      }
    });
    this.#tail = done.catch(ignore);
    return done;
  }
}

function rowOf({ reader, offset, leaderEpoch, metadata }: ReaderStand): CommitRow {
  const { topic, topicId, partition } = reader;
  return { topic, topicId, partition, offset, leaderEpoch, metadata };
}
