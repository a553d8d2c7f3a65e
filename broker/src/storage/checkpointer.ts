import type { ActiveSegment } from './active-segment.js';
import type { BackgroundWarnings } from './background-warnings.js';
import type { Checkpoint } from './checkpoint.js';
import type { LogEnvironment } from './log-environment.js';
import type { LogState } from './log-state.js';
import type { ProducersImage, ProducerSnapshots } from './producer-snapshots.js';

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

/** An image with what goes beside it. */
export interface CompleteImage extends CheckpointImage {
  readonly producers: ProducersImage;
}

/**
 * However much is appended, a log writes no more than a checkpoint a second. One costs as much as the sync
 * before it, so where little is appended to each of many logs, they wait for their interval.
 */
const LEAST_INTERVAL_MS = 1_000;

/** Writes a log's checkpoints behind its syncs, when they are due and one at a time. */
export class Checkpointer {
  #writtenLsn = 0;
  #writtenAtMs = 0;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(
    private readonly state: Pick<LogState, 'checkpoint'>,
    private readonly snapshots: ProducerSnapshots,
    private readonly environment: LogEnvironment,
    private readonly warnings: BackgroundWarnings,
  ) {}

  /** True when a checkpoint of `appendedLsn` should be taken now. */
  isDue(appendedLsn: number, nowMs: number): boolean {
    const newBytes = appendedLsn - this.#writtenLsn;
    if (this.#running !== undefined || newBytes === 0) return false;
    const { checkpointBytes, checkpointIntervalMs } = this.environment.config;
    const soonestMs = newBytes < checkpointBytes ? Infinity : LEAST_INTERVAL_MS;
    return nowMs - this.#writtenAtMs >= Math.min(checkpointIntervalMs, soonestMs);
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
    const { endOffset } = image;
    const producers = last ? this.snapshots.image(endOffset) : this.snapshots.imageIfDue(endOffset);
    return { ...image, producers };
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
    await this.storeProducers(image.producers);
    if (this.#stopped) return;
    await this.state.checkpoint.update({
      segmentBase: image.segmentBase,
      position: image.position,
      endOffset: image.endOffset,
      leaderEpoch: image.leaderEpoch,
      ...this.snapshots.stored,
      ...extra,
    });
    // Into the other slot too: only then are the segments before it sealed.
    if (this.state.checkpoint.certain.segmentBase < image.segmentBase) {
      await this.state.checkpoint.update({});
    }
    this.warnings.succeeded('write the checkpoint');
    this.#writtenLsn = image.lsn;
  }

  /** Stores a snapshot of the producers, if it has anything new; what it lacks, the log tells. */
  storeProducers(image: ProducersImage): Promise<void> {
    return this.besides('write the producer snapshot', this.snapshots.write(image));
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
}
