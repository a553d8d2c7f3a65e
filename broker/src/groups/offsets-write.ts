import type { ProtocolError } from '@millrace/protocol';
import type { CommittedOffset } from './group-store.js';
import type { EncodedRecord } from './offsets-batches.js';
import { encodeCommitKey, encodeCommitValue } from './offsets-codec.js';
import type { GroupOffsetKey } from './offsets-table.js';

/** What a record does to the offsets in memory. */
export interface OffsetChange extends GroupOffsetKey {
  /** undefined: the offset goes. */
  readonly committed: CommittedOffset | undefined;
}

/** A record and what it means in memory; that of a group means nothing there. */
export interface OffsetsChangeRecord extends EncodedRecord {
  readonly change?: OffsetChange;
}

/** A record that is to be appended, and whose it is. */
export interface PendingRecord extends OffsetsChangeRecord {
  readonly write: OffsetWrite;
}

/** The record of a commit. @throws ProtocolError INVALID_REQUEST when a text is too long. */
export function commitRecord(
  groupId: string,
  topicId: string,
  partition: number,
  committed: CommittedOffset,
): OffsetsChangeRecord {
  return {
    key: encodeCommitKey(groupId, topicId, partition),
    value: encodeCommitValue(committed),
    change: { groupId, topicId, partition, committed },
  };
}

/** The record that removes an offset. @throws ProtocolError INVALID_REQUEST */
export function removalRecord({
  groupId,
  topicId,
  partition,
}: GroupOffsetKey): OffsetsChangeRecord {
  return {
    key: encodeCommitKey(groupId, topicId, partition),
    value: null,
    change: { groupId, topicId, partition, committed: undefined },
  };
}

/** One change of one group on its way to the log: its records, and the promise of its caller. */
export class OffsetWrite {
  /** Resolves when all records are durable; rejects with the failure of the first that is not. */
  readonly done: Promise<void>;
  #failure: ProtocolError | undefined;
  #resolve: () => void = () => undefined;
  #reject: (failure: ProtocolError) => void = () => undefined;

  constructor(
    readonly groupId: string,
    /** What to append; what is only known when it is this write's turn comes from a function. */
    private readonly source: readonly OffsetsChangeRecord[] | (() => OffsetsChangeRecord[]),
    /** An upper bound of what the records take. */
    readonly bytes: number,
  ) {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Whether its records depend on what is in memory of the group. */
  get dependsOnMemory(): boolean {
    return typeof this.source === 'function';
  }

  records(): PendingRecord[] {
    const records = typeof this.source === 'function' ? this.source() : this.source;
    return records.map(({ key, value, change }) =>
      change === undefined ? { key, value, write: this } : { key, value, change, write: this },
    );
  }

  /** Some of it was not stored; the first failure counts. */
  fail(failure: ProtocolError): void {
    this.#failure ??= failure;
  }

  /** Everything was tried. */
  settle(): void {
    if (this.#failure === undefined) this.#resolve();
    else this.#reject(this.#failure);
  }
}
