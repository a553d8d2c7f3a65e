import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActiveSegment } from './active-segment.js';
import type { Checkpoint, CheckpointFile } from './checkpoint.js';
import { encodeJsonFile } from './json-file.js';
import type { LogEnvironment } from './log-environment.js';
import { PRODUCERS_FILE } from './log-files.js';

/** A log at the moment a sync begins: what a checkpoint may say once that sync is done. */
export interface CheckpointImage {
  readonly lsn: number;
  readonly active: ActiveSegment;
  readonly position: number;
  readonly endOffset: number;
  readonly leaderEpoch: number;
  readonly startOffset: number;
  readonly producers: unknown;
}

/** Writes a log's checkpoints behind its syncs, at most one per interval and one at a time. */
export class Checkpointer {
  #writtenLsn = 0;
  #writtenAtMs = 0;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(
    private readonly name: string,
    private readonly directory: string,
    private readonly file: CheckpointFile,
    private readonly environment: LogEnvironment,
  ) {}

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

  /** Writes `image`, whose bytes are synced, in the background. */
  start(image: CheckpointImage, onError: (error: unknown) => void): void {
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
  async write(image: CheckpointImage, extra: Partial<Checkpoint> = {}): Promise<void> {
    this.#writtenAtMs = this.environment.now();
    await this.besides('write the index', image.active.writeIndex());
    await this.besides('write the producer snapshot', this.#writeProducers(image));
    if (this.#stopped) return;
    await this.file.update({
      segmentBase: image.active.segment.baseOffset,
      position: image.position,
      endOffset: image.endOffset,
      leaderEpoch: image.leaderEpoch,
      startOffset: image.startOffset,
      ...extra,
    });
    this.#writtenLsn = image.lsn;
  }

  /** Waits for work that only makes a restart quicker: its failure is worth a line, no more. */
  async besides(what: string, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.environment.logger.warn({ err: error, log: this.name }, `could not ${what}`);
    }
  }

  /** Not synced: it is checked when read, and what it lacks is rebuilt from the log. */
  async #writeProducers(image: CheckpointImage): Promise<void> {
    const path = join(this.directory, PRODUCERS_FILE);
    const content = { offset: image.endOffset, producers: image.producers };
    await writeFile(`${path}.tmp`, encodeJsonFile(content));
    await rename(`${path}.tmp`, path);
  }
}
