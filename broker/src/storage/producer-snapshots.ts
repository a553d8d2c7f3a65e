import { syncDirectory } from './atomic-file.js';
import type { LogState } from './log-state.js';
import { writeProducerSnapshot } from './producer-snapshot-file.js';

/** A snapshot of so many producers goes with every checkpoint; twice as many with every second, … */
const PRODUCERS_PER_CHECKPOINT = 1_000;
/** The most checkpoints until the next snapshot: a restart looks through what came since the last. */
const MAX_CHECKPOINTS_PER_SNAPSHOT = 30;

/** The producers of a log at the moment when it ended at `endOffset`. */
export interface ProducersImage {
  readonly version: number;
  readonly endOffset: number;
  /** Undefined when no new snapshot is due. */
  readonly content: unknown;
}

/** A stored snapshot of the producers. */
interface StoredSnapshot {
  readonly version: number;
  readonly offset: number;
  readonly holdsTo: number;
  /** False while a power cut may bring back the snapshot before it. */
  readonly nameDurable: boolean;
}

/**
 * Keeps what is known of a log's producers beside it. What the snapshot lacks is rebuilt from the log at a
 * restart; so a snapshot that lacks nothing of them must be durable before batches go.
 */
export class ProducerSnapshots {
  #stored: StoredSnapshot | undefined;
  /** Checkpoints since the stored snapshot, which lacks what came since. */
  #checkpointsWithout = 0;
  /** The last write; those that come later queue up behind it. */
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly directory: string,
    private readonly state: Pick<
      LogState,
      'producers' | 'snapshotOffset' | 'dataEndOffset' | 'leaderEpoch'
    >,
  ) {
    const { producers, snapshotOffset: offset, dataEndOffset: holdsTo } = state;
    if (offset === undefined) return;
    // A process that was killed may have left its name in the page cache only.
    this.#stored = { version: producers.version, offset, holdsTo, nameDurable: false };
  }

  /** For the checkpoint: which snapshot is stored, and up to where it holds; -1 without one. */
  get stored(): { readonly snapshotOffset: number; readonly snapshotHoldsTo: number } {
    const { offset = -1, holdsTo = -1 } = this.#stored ?? {};
    return { snapshotOffset: offset, snapshotHoldsTo: holdsTo };
  }

  /** Where the stored snapshot was taken, if it says all that is known; undefined when it lacks something. */
  get completeOffset(): number | undefined {
    const stored = this.#stored;
    return stored?.version === this.state.producers.version ? stored.offset : undefined;
  }

  /** The producers as they are now, when the log ends at `endOffset`, for a checkpoint. */
  imageIfDue(endOffset: number): ProducersImage {
    const { version } = this.state.producers;
    const lacking = version !== this.#stored?.version;
    if (lacking && (this.#stored === undefined || this.#isDue())) return this.image(endOffset);
    return { version, endOffset, content: undefined };
  }

  /** The same for the last checkpoint, or another one that must not leave anything to be rebuilt. */
  image(endOffset: number): ProducersImage {
    const { producers } = this.state;
    const { version } = producers;
    const lacking = version !== this.#stored?.version;
    return { version, endOffset, content: lacking ? producers.encode() : undefined };
  }

  /** True when a restart knows of all producers of batches below `offset` without these. */
  cover(offset: number): boolean {
    if (this.#stored === undefined) return false;
    const { version, holdsTo } = this.#stored;
    return version === this.state.producers.version || holdsTo >= offset;
  }

  /** Stores an image, if it has anything new; all batches before its end must be synced. */
  write(image: ProducersImage): Promise<void> {
    const turn = this.#writing.catch(() => undefined).then(() => this.#write(image));
    this.#writing = turn;
    return turn;
  }

  /** Resolves when the stored snapshot is there even after a power cut. */
  async makeNameDurable(): Promise<void> {
    const stored = this.#stored;
    if (stored === undefined || stored.nameDurable) return;
    await syncDirectory(this.directory);
    if (this.#stored === stored) this.#stored = { ...stored, nameDurable: true };
  }

  /** The more producers there are, the more it costs to write them down. */
  #isDue(): boolean {
    const every = Math.ceil(this.state.producers.size / PRODUCERS_PER_CHECKPOINT);
    return this.#checkpointsWithout + 1 >= Math.min(every, MAX_CHECKPOINTS_PER_SNAPSHOT);
  }

  async #write({ version, endOffset, content }: ProducersImage): Promise<void> {
    const stored = this.#stored;
    if (stored?.version === version) {
      // Nothing came in between that it lacks.
      this.#stored = { ...stored, holdsTo: Math.max(stored.holdsTo, endOffset) };
      return;
    }
    // One that was taken later is there already.
    if (stored !== undefined && stored.version > version) return;
    if (content === undefined) {
      this.#checkpointsWithout += 1;
      return;
    }
    const { leaderEpoch } = this.state;
    await writeProducerSnapshot(this.directory, {
      ...{ offset: endOffset, leaderEpoch, producers: content },
    });
    this.#stored = { version, offset: endOffset, holdsTo: endOffset, nameDurable: false };
    this.#checkpointsWithout = 0;
  }
}
