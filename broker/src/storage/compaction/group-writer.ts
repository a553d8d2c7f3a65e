import type { BatchHeader } from '@millrace/protocol';
import { OffsetIndex } from '../offset-index.js';
import { CleanedFile } from './cleaned-file.js';
import type { CleanedGroup, CompactionInput, CompactionJob } from './job.js';
import type { Pace } from './pace.js';

/** Index entries hold offsets relative to their segment, and positions, in 32 bits. */
const MAX_RELATIVE = 2 ** 32 - 1;

/**
 * Adjacent segments on their way into one. While there is only one of them and nothing of it was left
 * out, nothing is written: what stays as it is costs no more than to be read.
 */
export class GroupWriter {
  readonly #index: OffsetIndex;
  #file: CleanedFile | undefined;
  #bytes = 0;
  #bytesBefore = 0;
  #segments = 0;

  constructor(
    private readonly job: CompactionJob,
    private readonly first: CompactionInput,
    private readonly buffer: Buffer,
    private readonly pace: Pace,
  ) {
    this.#index = OffsetIndex.empty(first.baseOffset);
  }

  /** True when the segment that ends before offset `end` may be merged in. */
  takes(input: CompactionInput, end: number): boolean {
    if (this.#segments === 0) return true;
    return (
      this.#bytes + input.sizeBytes <= this.job.segmentBytes &&
      end - this.first.baseOffset <= MAX_RELATIVE
    );
  }

  /** What comes from now on is of `input`. */
  async begin(input: CompactionInput): Promise<void> {
    if (this.#segments > 0) await this.#open();
    this.#segments += 1;
    this.#bytesBefore += input.sizeBytes;
  }

  /** Takes over a batch as it is. */
  async keep(bytes: Buffer, header: BatchHeader): Promise<void> {
    await this.#append(bytes, header);
  }

  /** Takes over what is left of a batch; undefined: nothing. */
  async replace(bytes: Buffer | undefined, header: BatchHeader): Promise<void> {
    await this.#open();
    if (bytes !== undefined) await this.#append(bytes, header);
  }

  /** Completes the file; undefined, and there is none, when it would be what there is already. */
  async finish(end: number): Promise<CleanedGroup | undefined> {
    const file = this.#file;
    if (file === undefined) return undefined;
    this.#file = undefined;
    await file.finish(this.#index);
    return {
      base: this.first.baseOffset,
      end,
      segments: this.#segments,
      bytesBefore: this.#bytesBefore,
      bytesAfter: this.#bytes,
    };
  }

  /** Lets go of an incomplete file. */
  abort(): void {
    this.#file?.discard();
    this.#file = undefined;
  }

  async #append(bytes: Buffer, header: BatchHeader): Promise<void> {
    const { indexIntervalBytes } = this.job;
    if (this.#bytes + bytes.length > MAX_RELATIVE) {
      throw new Error(`${this.first.path}: what is left of it does not fit in one segment`);
    }
    this.#index.track(header.baseOffset, header.maxTimestampMs, this.#bytes, indexIntervalBytes);
    this.#bytes += bytes.length;
    await this.#file?.write(bytes);
  }

  /** Begins the file with what was taken over so far: the beginning of the first segment. */
  async #open(): Promise<void> {
    if (this.#file !== undefined) return;
    const { directory } = this.job;
    const file = new CleanedFile(directory, this.first.baseOffset, this.buffer, this.pace);
    this.#file = file;
    await file.copy(this.first.path, this.#bytes);
  }
}
