import { InvalidArgumentError, RebalanceError } from '../errors.js';
import { integerOption } from '../util/check.js';
import { partitionName, quoted } from '../util/text.js';
import type { Delivery } from './delivery.js';
import type { FetchedBatch } from './fetched-batch.js';
import { Message } from './message.js';
import type { ReaderStand } from './offset-committer.js';
import type { PartitionReader } from './partition-reader.js';
import type { PartitionName } from './stream-consumer.js';

/** A position to commit: `offset` is that of the next message to read. */
export interface OffsetToCommit extends PartitionName {
  readonly offset: number;
  /** Kept with the offset, for whoever reads it. */
  readonly metadata?: string | null | undefined;
}

/** Finds a reader that is assigned. */
interface Readers {
  reader(topic: string, partition: number): PartitionReader | undefined;
}

/** What the application wants committed, as positions of the readers that it has now. */
export class CommitStands {
  readonly #group: string;
  readonly #readers: Readers;
  readonly #delivery: Delivery;

  constructor(group: string, readers: Readers, delivery: Delivery) {
    this.#group = group;
    this.#readers = readers;
    this.#delivery = delivery;
  }

  /** @throws RebalanceError when one is not assigned; InvalidArgumentError */
  at(positions: readonly OffsetToCommit[]): ReaderStand[] {
    return positions.map((position) => this.#standOf(position));
  }

  /** @throws RebalanceError, also when it was given out before the partition was lost. */
  behind(what: Message | FetchedBatch): ReaderStand {
    const offset = lastOffsetOf(what);
    if (offset === undefined) {
      throw new InvalidArgumentError(
        'commit takes nothing, a message, a batch, or an array of { topic, partition, offset }',
      );
    }
    const { topic, partition } = what;
    const stand = this.#standOf({ topic, partition, offset: offset + 1 });
    const { reader } = stand;
    // The partition was lost and has come again: what was given out before is not ours to commit.
    const reached = Math.max(reader.furthest, this.#delivery.position(reader).offset);
    if (stand.offset > reached) throw this.notAssigned(what);
    return stand;
  }

  notAssigned({ topic, partition }: PartitionName): RebalanceError {
    return new RebalanceError(
      `${partitionName(topic, partition)} is not assigned to this member of group ` +
        `${quoted(this.#group)} (any more), so its position was not committed: whoever has it ` +
        'now goes on from the last commit',
      { group: this.#group, topic, partition },
    );
  }

  #standOf({ topic, partition, offset, metadata = null }: OffsetToCommit): ReaderStand {
    const checked = integerOption('offset', offset, 0, { minimum: 0 });
    const reader = this.#readers.reader(topic, partition);
    if (reader === undefined) throw this.notAssigned({ topic, partition });
    return { reader, offset: checked, leaderEpoch: -1, metadata };
  }
}

/** Undefined for what is neither. */
function lastOffsetOf(what: Message | FetchedBatch): number | undefined {
  if (what instanceof Message) return what.offset;
  return 'lastOffset' in what ? what.lastOffset : undefined;
}

/** `Array.isArray` alone does not tell readonly arrays apart. */
export function arePositions(what: unknown): what is readonly OffsetToCommit[] {
  return Array.isArray(what);
}
