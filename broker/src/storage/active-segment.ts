import { unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import type { BatchHeader, ByteChunks } from '@millrace/protocol';
import { OpenDirectory } from './atomic-file.js';
import type { LogEnvironment, LogOptions } from './log-environment.js';
import { OffsetIndex } from './offset-index.js';
import { openStorageFile } from './persistence/file.js';
import type { StorageFile } from './persistence/file.js';
import type { SegmentWriter } from './persistence/persistence.js';
import type { Segment } from './segment.js';
import { SharedFile } from './shared-file.js';

/**
 * The write side of a log's last segment, until it is sealed: appended, then synced a last time, then
 * trimmed to its data and let go.
 */
export class ActiveSegment {
  /** How far this segment is known to be on the device, in bytes. */
  #syncedTo: number;
  #indexEntriesWritten = 0;
  #indexWritten: Promise<void> = Promise.resolve();

  private constructor(
    readonly segment: Segment,
    /** Of a new file, whose name is not yet durable in it. */
    private directory: OpenDirectory | undefined,
    private capacityBytes: number,
    private readonly file: SharedFile,
    private writer: SegmentWriter,
    private readonly index: OffsetIndex,
    private readonly indexIntervalBytes: number,
  ) {
    this.#syncedTo = segment.sizeBytes;
  }

  /**
   * Makes the file of a new, empty segment and begins to append to it.
   * @throws Error with an errno code; no file is left then.
   */
  static create(
    segment: Segment,
    capacityBytes: number,
    environment: LogEnvironment,
    options: LogOptions,
  ): ActiveSegment {
    // Held from now on: the sync of its name must not depend on a descriptor being left then.
    const directory = new OpenDirectory(dirname(segment.logPath));
    try {
      const file = openStorageFile(environment.native, segment.logPath, 'create');
      const index = OffsetIndex.empty(segment.baseOffset);
      return ActiveSegment.#begin({
        ...{ segment, directory, capacityBytes, file, index, environment, options },
      });
    } catch (error) {
      directory.close();
      throw error;
    }
  }

  /** Goes on appending to a segment that a restart found, behind its data. */
  static async reopen(
    segment: Segment,
    capacityBytes: number,
    environment: LogEnvironment,
    options: LogOptions,
  ): Promise<ActiveSegment> {
    const index = await segment.loadIndex(segment.sizeBytes);
    // Appends ask for it without waiting.
    if (segment.sizeBytes > 0) await segment.firstAppendMs();
    const file = openStorageFile(environment.native, segment.logPath, 'readwrite');
    return ActiveSegment.#begin({
      ...{ segment, directory: undefined, capacityBytes, file, index, environment, options },
    });
  }

  static #begin(from: {
    readonly segment: Segment;
    readonly directory: OpenDirectory | undefined;
    readonly capacityBytes: number;
    readonly file: StorageFile;
    readonly index: OffsetIndex;
    readonly environment: LogEnvironment;
    readonly options: LogOptions;
  }): ActiveSegment {
    const { segment, directory, capacityBytes, file, index, environment, options } = from;
    let writer: SegmentWriter;
    try {
      writer = environment.persistence.openSegment(file, capacityBytes, segment.sizeBytes);
    } catch (error) {
      file.close();
      if (directory !== undefined) unlinkSync(segment.logPath);
      throw error;
    }
    const shared = new SharedFile(file);
    segment.goLive(shared, index, capacityBytes);
    return new ActiveSegment(
      segment,
      directory,
      capacityBytes,
      shared,
      writer,
      index,
      options.indexIntervalBytes,
    );
  }

  /** True when `bytes` more fit. */
  fits(bytes: number): boolean {
    return this.segment.sizeBytes + bytes <= this.capacityBytes;
  }

  /** Makes room for a larger batch in a segment that is still empty. */
  enlarge(capacityBytes: number, { persistence }: LogEnvironment): void {
    if (this.segment.sizeBytes > 0) throw new Error(`${this.segment.logPath} is not empty`);
    const writer = persistence.openSegment(this.file.file, capacityBytes, 0);
    this.writer.release();
    this.writer = writer;
    this.capacityBytes = capacityBytes;
    this.segment.mappableBytes = capacityBytes;
  }

  /** Appends one batch whose base offset is final. Nothing changes when it throws. */
  append(bytes: ByteChunks, batch: BatchHeader, baseOffset: number, nowMs: number): void {
    const position = this.segment.sizeBytes;
    this.writer.append(bytes, position);
    this.segment.appendedAt(nowMs);
    this.index.track(baseOffset, batch.maxTimestampMs, position, this.indexIntervalBytes);
    this.segment.sizeBytes = position + bytes.length;
  }

  /** Resolves when everything before byte `end` is on the device, and the file's name too. */
  async syncTo(end: number): Promise<void> {
    if (end > this.#syncedTo) {
      await this.writer.sync(this.#syncedTo, end);
      this.#syncedTo = end;
    }
    if (this.directory === undefined) return;
    await this.directory.sync();
    this.#closeDirectory();
  }

  /** Writes the index entries that came since the last call; calls wait for each other. */
  writeIndex(): Promise<void> {
    const writing = this.#indexWritten.catch(() => undefined).then(() => this.#writeNewEntries());
    this.#indexWritten = writing;
    return writing;
  }

  async #writeNewEntries(): Promise<void> {
    const from = this.#indexEntriesWritten;
    const upTo = this.index.count;
    if (from === upTo) return;
    await this.segment.writeIndex(this.index, from);
    this.#indexEntriesWritten = upTo;
  }

  /**
   * Trims the file to its data, durably, and lets go of it; readers keep what they hold. May be called
   * again when it failed.
   */
  async finish(): Promise<void> {
    this.writer.finish(this.segment.sizeBytes);
    // Recovery looks for zeros at the end of a segment only from the checkpoint on. So the trim must
    // be on the device before a checkpoint in a later segment can be.
    await this.file.file.sync();
    this.segment.retire();
    this.#closeDirectory();
    this.file.release();
  }

  /** Lets go of the file without touching it: the log was deleted, or its disk failed. */
  abandon(): void {
    this.segment.forget();
    this.writer.release();
    this.#closeDirectory();
    this.file.release();
  }

  #closeDirectory(): void {
    this.directory?.close();
    this.directory = undefined;
  }
}
