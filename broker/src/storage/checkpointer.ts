import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActiveSegment } from './active-segment.js';
import type { BackgroundWarnings } from './background-warnings.js';
import type { Checkpoint } from './checkpoint.js';
import { encodeCompactJsonFile } from './json-file.js';
import type { LogEnvironment } from './log-environment.js';
import { PRODUCERS_FILE } from './log-files.js';
import type { LogState } from './log-state.js';

/** A snapshot of so many producers goes with every checkpoint; twice as many with every second, … */
const PRODUCERS_PER_CHECKPOINT = 1_000;
/** The most checkpoints until the next snapshot: a restart looks through what came since the last. */
const MAX_CHECKPOINTS_PER_SNAPSHOT = 30;

/** A log at the moment a sync begins: what a checkpoint may say once that sync is done. */
export interface CheckpointImage {
  readonly lsn: number;
  /** Undefined when everything is sealed, and the log goes on in a segment that is not there yet. */
  readonly active: ActiveSegment | undefined;
  readonly segmentBase: number;
  readonly position: number;
  readonly endOffset: number;
  readonly leaderEpoch: number;
}

/** The producers at the same moment. */
interface ProducersImage {
  readonly version: number;
  /** Undefined when no new snapshot is due. */
  readonly content: unknown;
}

/** A stored snapshot of the producers. */
interface StoredSnapshot {
  readonly version: number;
  readonly offset: number;
  readonly holdsTo: number;
}

/** An image with what goes beside it. */
export interface CompleteImage extends CheckpointImage {
  readonly producers: ProducersImage;
}

/** Writes a log's checkpoints behind its syncs, at most one per interval and one at a time. */
export class Checkpointer {
  #writtenLsn = 0;
  #writtenAtMs = 0;
  #running: Promise<void> | undefined;
  #stopped = false;
  #snapshot: StoredSnapshot | undefined;
  /** Checkpoints since the stored snapshot, which lacks what came since. */
  #withoutSnapshot = 0;

  constructor(
    private readonly directory: string,
    private readonly state: Pick<LogState, 'checkpoint' | 'producers' | 'snapshotOffset'>,
    private readonly environment: LogEnvironment,
    private readonly warnings: BackgroundWarnings,
  ) {
    const { producers, snapshotOffset: offset } = state;
    const holdsTo = state.checkpoint.current?.snapshotHoldsTo ?? -1;
    this.#snapshot =
      offset === undefined
        ? undefined
        : { version: producers.version, offset, holdsTo: Math.max(offset, holdsTo) };
  }

  /** True when a checkpoint of `appendedLsn` should be taken now. */
  isDue(appendedLsn: number, nowMs: number): boolean {
    return (
      this.#running === undefined &&
      this.#writtenLsn < appendedLsn &&
      nowMs - this.#writtenAtMs >= this.environment.config.checkpointIntervalMs
    );
  }

  /** True while a checkpoint lacks, or is being written. */
  isBehind(appendedLsn: number): boolean {
    return this.#running !== undefined || this.#writtenLsn < appendedLsn;
  }

  /**
   * Adds the producers as they are now, where they changed and a new snapshot is due.
   * @param last no other checkpoint follows.
   */
  complete(image: CheckpointImage, last = false): CompleteImage {
    const { producers } = this.state;
    const { version } = producers;
    const changed = version !== this.#snapshot?.version;
    const due = changed && (last || this.#snapshot === undefined || this.#isSnapshotDue());
    return { ...image, producers: { version, content: due ? producers.encode() : undefined } };
  }

  /** Writes `image`, whose bytes are synced, in the background, unless one is being written. */
  start(image: CompleteImage, onError: (error: unknown) => void): void {
    if (this.#running !== undefined) return;
    this.#running = this.write(image)
      .catch(onError)
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** From now on the checkpoint stays as it is: the log failed, and says itself what to keep. */
  stop(): void {
    this.#stopped = true;
  }

  /** Resolves when none is being written. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Resolves when `image`, whose bytes are synced, is the durable checkpoint, with `extra` in it. */
  async write(image: CompleteImage, extra: Partial<Checkpoint> = {}): Promise<void> {
    this.#writtenAtMs = this.environment.now();
    if (image.active !== undefined) {
      await this.besides('write the index', image.active.writeIndex());
    }
    await this.besides('write the producer snapshot', this.#writeProducers(image));
    if (this.#stopped) return;
    await this.state.checkpoint.update({
      segmentBase: image.segmentBase,
      position: image.position,
      endOffset: image.endOffset,
      leaderEpoch: image.leaderEpoch,
      snapshotOffset: this.#snapshot?.offset ?? -1,
      snapshotHoldsTo: this.#snapshot?.holdsTo ?? -1,
      ...extra,
    });
    // Into the other slot too: only then are the segments before it sealed.
    if (this.state.checkpoint.certain.segmentBase < image.segmentBase) {
      await this.state.checkpoint.update({});
    }
    this.warnings.succeeded('write the checkpoint');
    this.#writtenLsn = image.lsn;
  }

  /** Waits for work that only makes a restart quicker: its failure is worth a line, no more. */
  async besides(what: string, work: Promise<void>): Promise<void> {
    try {
      await work;
      this.warnings.succeeded(what);
    } catch (error) {
      this.warnings.failed(what, error);
    }
  }

  /** The more producers there are, the more it costs to write them down. */
  #isSnapshotDue(): boolean {
    const every = Math.ceil(this.state.producers.size / PRODUCERS_PER_CHECKPOINT);
    return this.#withoutSnapshot + 1 >= Math.min(every, MAX_CHECKPOINTS_PER_SNAPSHOT);
  }

  /**
   * What it lacks is rebuilt from the log, so its name need not be durable. Its content must be once it
   * has the name: without a snapshot that can be read, a restart walks the whole log.
   */
  async #writeProducers({ endOffset, producers }: CompleteImage): Promise<void> {
    const { version, content } = producers;
    if (content === undefined) {
      // Nothing came in between that the snapshot lacks.
      const stored = this.#snapshot;
      if (stored?.version === version) this.#snapshot = { ...stored, holdsTo: endOffset };
      else this.#withoutSnapshot += 1;
      return;
    }
    const path = join(this.directory, PRODUCERS_FILE);
    const file = await open(`${path}.tmp`, 'w', 0o644);
    try {
      await file.writeFile(encodeCompactJsonFile({ offset: endOffset, producers: content }));
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(`${path}.tmp`, path);
    this.#snapshot = { version, offset: endOffset, holdsTo: endOffset };
    this.#withoutSnapshot = 0;
  }
}
