import { join } from 'node:path';
import { DataDirError } from './errors.js';
import { readJsonFile, writeJsonFile } from './json-file.js';

/** A leader epoch and the first offset written under it. */
export interface LeaderEpoch {
  readonly epoch: number;
  readonly startOffset: number;
  /**
   * The offset after the last record before this epoch. Where it is smaller than `startOffset`, the
   * offsets between were given up after an unclean stop and hold nothing.
   */
  readonly previousEndOffset: number;
}

export const EPOCHS_FILE = 'epochs.json';

/** Every leader epoch of a partition's log, oldest first; kept in `epochs.json` beside it. */
export class EpochHistory {
  #epochs: readonly LeaderEpoch[];
  /** The last change; those that come later queue up behind it. */
  #changing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly path: string,
    epochs: readonly LeaderEpoch[],
  ) {
    this.#epochs = epochs;
  }

  /** @throws DataDirError `damaged` */
  static async load(directory: string): Promise<EpochHistory> {
    const path = join(directory, EPOCHS_FILE);
    const content = await readJsonFile(path);
    if (content === undefined) return new EpochHistory(path, []);
    if (!Array.isArray(content) || !content.every(isLeaderEpoch)) {
      throw new DataDirError('damaged', `${path} is damaged: it does not hold leader epochs`);
    }
    return new EpochHistory(path, content);
  }

  get latest(): LeaderEpoch | undefined {
    return this.#epochs.at(-1);
  }

  get all(): readonly LeaderEpoch[] {
    return this.#epochs;
  }

  /** True when a new segment may begin at `startOffset` although the one before ended earlier. */
  explainsGap(previousEndOffset: number, startOffset: number): boolean {
    return this.#epochs.some(
      (epoch) => epoch.startOffset === startOffset && epoch.previousEndOffset >= previousEndOffset,
    );
  }

  /** True when nothing was ever stored from `from` up to `startOffset`, where a segment begins. */
  isGap(from: number, startOffset: number): boolean {
    return this.#epochs.some(
      (epoch) => epoch.startOffset === startOffset && epoch.previousEndOffset <= from,
    );
  }

  /** The epoch in which a batch at `offset` was written; 0 from before the first that is known. */
  at(offset: number): number {
    return this.#epochs.findLast(({ startOffset }) => startOffset <= offset)?.epoch ?? 0;
  }

  /**
   * True when a log that ended at `offset` in `leaderEpoch` has lost its tail since: a later epoch began
   * before that offset.
   */
  isAbandoned(offset: number, leaderEpoch: number): boolean {
    return this.#epochs.some(
      ({ epoch, previousEndOffset }) => epoch > leaderEpoch && previousEndOffset < offset,
    );
  }

  /** Resolves when `epoch` is durably the last one. */
  async begin(epoch: LeaderEpoch): Promise<void> {
    await this.#change((epochs) => [...epochs.filter((known) => known.epoch < epoch.epoch), epoch]);
  }

  /**
   * Forgets the epochs that ended before `offset`, where the oldest segment begins; as in Kafka
   * (`LeaderEpochFileCache.truncateFromStartAsyncFlush`) the one that was current there stays. Writes
   * only where that changes anything.
   */
  async forgetBefore(offset: number): Promise<void> {
    await this.#change((epochs) => {
      const current = epochs.findLastIndex(({ startOffset }) => startOffset <= offset);
      return current > 0 ? epochs.slice(current) : epochs;
    });
  }

  #change(next: (epochs: readonly LeaderEpoch[]) => readonly LeaderEpoch[]): Promise<void> {
    const turn = this.#changing
      .catch(() => undefined) // whoever asked for that one was told
      .then(async () => {
        const epochs = next(this.#epochs);
        if (epochs === this.#epochs) return;
        await writeJsonFile(this.path, epochs);
        this.#epochs = epochs;
      });
    this.#changing = turn;
    return turn;
  }
}

function isLeaderEpoch(value: unknown): value is LeaderEpoch {
  return (
    typeof value === 'object' &&
    value !== null &&
    'epoch' in value &&
    'startOffset' in value &&
    'previousEndOffset' in value &&
    [value.epoch, value.startOffset, value.previousEndOffset].every(Number.isSafeInteger)
  );
}
