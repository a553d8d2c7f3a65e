import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { andThen } from '../maybe-promise.js';
import type { MaybePromise } from '../maybe-promise.js';
import { at, locateByIndex, wholeBatchesLength } from './batch-lookup.js';
import type { LocatedBatch } from './batch-lookup.js';
import type { ScannedBatch } from './batch-scanner.js';
import { walkBatches } from './batch-walk.js';
import { CorruptLogError, SegmentGoneError } from './errors.js';
import type { FileRegion } from './file-region.js';
import type { LogEnvironment } from './log-environment.js';
import { readIndexFile, readLastIndexEntry } from './index-file.js';
import { OffsetIndex } from './offset-index.js';
import type { StorageFile } from './persistence/file.js';
import { RememberedPositions } from './remembered-positions.js';
import { indexFileName, logFileName } from './segment-name.js';
import type { SharedFile } from './shared-file.js';

/** Reads of a walk through a whole segment. */
const WALK_WINDOW_BYTES = 1024 * 1024;

/**
 * One file of a partition's log, as readers see it: record batches from `baseOffset` on, and a sparse
 * index beside it. The bytes below `sizeBytes` never change.
 */
export class Segment {
  readonly logPath: string;
  readonly indexPath: string;
  /** Where the data ends. The file may reach further while the segment is appended to. */
  sizeBytes: number;
  /** What a mapping of the file may span. */
  mappableBytes: number;
  /** The appender's file and index, while there is one. */
  #live: { readonly file: SharedFile; readonly index: OffsetIndex } | undefined;
  readonly #positions = new RememberedPositions();
  /** Removed or replaced: the names of its files may be another segment's. */
  #gone = false;
  /** Work under way that opens its files by name, or writes them. */
  readonly #working = new Set<Promise<unknown>>();
  /** Once it is known, of a segment that is not appended to. */
  #maxTimestampMs: number | undefined;
  #firstAppendMs: number | undefined;

  constructor(
    directory: string,
    readonly baseOffset: number,
    sizeBytes: number,
    private readonly environment: LogEnvironment,
    private readonly indexIntervalBytes: number,
  ) {
    this.logPath = join(directory, logFileName(baseOffset));
    this.indexPath = join(directory, indexFileName(baseOffset));
    this.sizeBytes = sizeBytes;
    this.mappableBytes = sizeBytes;
  }

  /** From now on readers share the appender's file and index. */
  goLive(file: SharedFile, index: OffsetIndex, capacityBytes: number): void {
    // A cached descriptor may be mapped no further than the segment once reached.
    this.environment.files.drop(this.logPath);
    this.environment.indexes.drop(this.indexPath);
    this.#live = { file, index };
    this.#maxTimestampMs = undefined;
    this.mappableBytes = capacityBytes;
  }

  /** The appender is done; readers open the file by themselves again. */
  retire(): void {
    if (this.#live === undefined) return;
    this.environment.indexes.put(this.indexPath, this.#live.index);
    this.#maxTimestampMs = this.#live.index.maxTimestampMs;
    this.#live = undefined;
    this.mappableBytes = this.sizeBytes;
  }

  /** Forgets cached descriptors and indexes, because the segment goes away. */
  forget(): void {
    this.#live = undefined;
    this.environment.files.drop(this.logPath);
    this.environment.indexes.drop(this.indexPath);
  }

  /** True while it is appended to, or its last sync is not done. */
  get live(): boolean {
    return this.#live !== undefined;
  }

  /** What the file takes: with the room ahead of the end, while it is appended to. */
  get fileBytes(): number {
    return this.#live?.file.file.size() ?? this.sizeBytes;
  }

  /**
   * The segment goes away: it was removed, or another takes its name. What was acquired stays usable;
   * whoever asks for more gets a SegmentGoneError. Resolves when nothing of it touches files by their
   * names any more, so that they may be removed or replaced.
   */
  async leave(): Promise<void> {
    this.#gone = true;
    this.forget();
    await Promise.allSettled(this.#working);
  }

  /** The largest timestamp of its batches; -1 when they bear none. @throws SegmentGoneError */
  async maxTimestampMs(): Promise<number> {
    const known = this.#live?.index.maxTimestampMs ?? this.#maxTimestampMs;
    if (known !== undefined) return known;
    const { sizeBytes } = this;
    const largest = await this.#track(this.#findMaxTimestamp(sizeBytes));
    if (this.#live === undefined && this.sizeBytes === sizeBytes) this.#maxTimestampMs = largest;
    return largest;
  }

  /** When the file was last written to, in milliseconds since the epoch. */
  async modifiedMs(): Promise<number> {
    return (await this.#track(stat(this.logPath))).mtimeMs;
  }

  /** Takes notice of an append; the first one is remembered. */
  appendedAt(nowMs: number): void {
    this.#firstAppendMs ??= nowMs;
  }

  /**
   * When the first batch was appended, in milliseconds since the epoch. Of a segment from before a restart
   * that is when its file was made, or last written to if that is earlier, as in one that was copied.
   */
  async firstAppendMs(): Promise<number> {
    if (this.#firstAppendMs !== undefined) return this.#firstAppendMs;
    const { birthtimeMs, mtimeMs } = await this.#track(stat(this.logPath));
    this.#firstAppendMs ??= birthtimeMs > 0 ? Math.min(birthtimeMs, mtimeMs) : mtimeMs;
    return this.#firstAppendMs;
  }

  /** The same, if it is known without looking. */
  get knownFirstAppendMs(): number | undefined {
    return this.#firstAppendMs;
  }

  /** The file, with one more user: the caller releases it. @throws SegmentGoneError */
  acquire(): SharedFile {
    this.#checkThere();
    if (this.#live === undefined) return this.environment.files.acquire(this.logPath);
    this.#live.file.retain();
    return this.#live.file;
  }

  /** The index: of the appender, from the cache, from its file, or rebuilt from the log. */
  index(): MaybePromise<OffsetIndex> {
    this.#checkThere();
    return (
      this.#live?.index ??
      this.environment.indexes.get(this.indexPath, () => this.#track(this.#loadSealedIndex()))
    );
  }

  /** The end at `position` belongs to `offset`: whoever was served up to there asks for it next. */
  remember(offset: number, position: number): void {
    this.#positions.set(offset, position);
  }

  /**
   * The batch that holds `offset` or, after a gap, the first beyond it; undefined when the segment ends
   * before. `end` is where the visible data ends. It is there at once where memory tells it.
   *
   * Base offsets are not covered by the checksums of batches. Those walked over are compared with the
   * index, which has its own, and with each other.
   * @param gapless each batch begins behind the one before; false where compaction may have been.
   * @throws ProtocolError CORRUPT_LOG when the batches end before `end`, or do not follow each other.
   */
  locate(offset: number, end: number, gapless = false): MaybePromise<LocatedBatch | undefined> {
    if (offset <= this.baseOffset && gapless) return at(0, this.baseOffset, end);
    const remembered = this.#positions.get(offset);
    if (remembered !== undefined) return at(remembered, offset, end);
    return locateByIndex(this, offset, end, gapless);
  }

  /**
   * Whole batches from `position` on, at most `maxBytes` unless the first is larger and `atLeastOne`;
   * undefined when the first does not fit.
   * @throws ProtocolError CORRUPT_LOG when there is no batch at `position`, or the file was cut.
   */
  region(
    position: number,
    end: number,
    maxBytes: number,
    atLeastOne: boolean,
  ): MaybePromise<FileRegion | undefined> {
    return andThen(wholeBatchesLength(this, position, end, maxBytes, atLeastOne), (length) =>
      length === 0 ? undefined : this.#regionOf(position, length),
    );
  }

  #regionOf(position: number, length: number): FileRegion {
    const shared = this.acquire();
    try {
      this.#checkReaches(shared.file, position + length);
    } catch (error) {
      shared.release();
      throw error;
    }
    return {
      file: shared.file,
      position,
      length,
      mappableBytes: Math.max(this.mappableBytes, position + length),
      release: () => shared.release(),
    };
  }

  /** The first batch at or beyond byte `from` whose largest timestamp is at least `timestampMs`. */
  async findTimestamp(
    timestampMs: number,
    end: number,
    from = 0,
  ): Promise<ScannedBatch | undefined> {
    const index = await this.index();
    const floor = index.floorTimestamp(timestampMs)?.position ?? 0;
    return this.walk(
      Math.max(from, floor),
      end,
      ({ header }) => header.maxTimestampMs >= timestampMs,
    );
  }

  /** Calls `visit` for each batch from byte `from` to `end`; returns where walking ended. */
  async forEachBatch(
    from: number,
    end: number,
    visit: (batch: ScannedBatch) => void,
  ): Promise<number> {
    let ended = from;
    await this.walk(
      from,
      end,
      (batch) => {
        visit(batch);
        ended = batch.position + batch.header.sizeBytes;
        return false;
      },
      WALK_WINDOW_BYTES,
    );
    return ended;
  }

  /** The index of the data before `end`: what the file holds of it, and the rest from the log. */
  async loadIndex(end: number): Promise<OffsetIndex> {
    const bytes = await readIndexFile(this.indexPath);
    this.#checkThere();
    const index = OffsetIndex.parse(this.baseOffset, bytes, end);
    await this.forEachBatch(index.last?.position ?? 0, end, ({ header, position }) =>
      index.track(header.baseOffset, header.maxTimestampMs, position, this.indexIntervalBytes),
    );
    return index;
  }

  /** An index that a crash left short or damaged is written anew, so that it is rebuilt once. */
  async #loadSealedIndex(): Promise<OffsetIndex> {
    const index = await this.loadIndex(this.sizeBytes);
    this.#checkThere();
    // An appender that came meanwhile writes its own.
    if (!index.asStored && this.#live === undefined) {
      await this.writeIndex(index).catch((error: unknown) => {
        this.environment.logger.warn(
          { err: error, file: this.indexPath },
          'could not write the index',
        );
      });
    }
    return index;
  }

  /** Writes the index's entries from the `from`-th on. It need not be durable: it can be rebuilt. */
  async writeIndex(index: OffsetIndex, from = 0): Promise<void> {
    await writeFile(this.indexPath, index.encode(from), { flag: from === 0 ? 'w' : 'a' });
  }

  /** See {@link walkBatches}. */
  async walk(
    from: number,
    end: number,
    stop: (batch: ScannedBatch) => boolean,
    windowBytes?: number,
  ): Promise<ScannedBatch | undefined> {
    if (from >= end) return undefined;
    const shared = this.acquire();
    const check = (): void => this.#checkThere();
    try {
      return await walkBatches({ file: shared.file, from, end, windowBytes, check }, stop);
    } finally {
      shared.release();
    }
  }

  /** By the end of the index and what lies behind it, or else by the whole index. */
  async #findMaxTimestamp(sizeBytes: number): Promise<number> {
    if (sizeBytes === 0) return -1;
    const last = await readLastIndexEntry(this.indexPath, this.baseOffset);
    this.#checkThere();
    if (last === undefined || last.position >= sizeBytes)
      return (await this.index()).maxTimestampMs;
    let largest = last.maxTimestampMs;
    await this.forEachBatch(last.position, sizeBytes, ({ header }) => {
      largest = Math.max(largest, header.maxTimestampMs);
    });
    return largest;
  }

  /** Lets {@link leave} wait for `work`. */
  async #track<Result>(work: Promise<Result>): Promise<Result> {
    this.#working.add(work);
    try {
      return await work;
    } catch (error) {
      // Its files may have gone beneath it.
      this.#checkThere();
      throw error;
    } finally {
      this.#working.delete(work);
    }
  }

  #checkThere(): void {
    if (this.#gone) throw new SegmentGoneError(this.logPath);
  }

  /** A row of a fetch that fails is told so; a send that fails takes all other rows with it. */
  #checkReaches(file: StorageFile, end: number): void {
    const sizeBytes = file.size();
    if (sizeBytes >= end) return;
    throw new CorruptLogError(
      this.logPath,
      sizeBytes,
      `the file ends there, where it held batches up to ${end}: it was cut while it was in use`,
    );
  }
}
