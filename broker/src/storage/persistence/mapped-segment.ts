import type { ByteChunks } from '@millrace/protocol';
import type { StorageFile } from './file.js';
import type { SegmentWriter } from './persistence.js';
import type { Preallocation } from './preallocation.js';
import type { PrefaultLead } from './prefault-lead.js';

/** What is asked of every persistence that maps its segments. */
export interface MmapOptions {
  readonly growStepMaxBytes: number;
  readonly prefaultLeadBytes: number;
  readonly prefaultBudgetBytes: number;
  readonly hugePagesFromBytes: number;
  /** The time in milliseconds, by a clock that only goes forward. Default: that of the process. */
  readonly now?: () => number;
}

export const monotonicMs = (): number => performance.now();

export interface SegmentParts {
  readonly file: StorageFile;
  readonly space: Preallocation;
  readonly lead: PrefaultLead;
}

/** A segment with a mapping that is populated ahead of its end. How bytes get into it is its heirs' to say. */
export abstract class MappedSegment implements SegmentWriter {
  protected readonly file: StorageFile;
  protected readonly space: Preallocation;
  protected readonly lead: PrefaultLead;
  #finished = false;

  constructor(
    { file, space, lead }: SegmentParts,
    private readonly mapped: { unmap(): void },
  ) {
    this.file = file;
    this.space = space;
    this.lead = lead;
  }

  /** Puts bytes where there is space for them. */
  protected abstract put(bytes: ByteChunks, position: number): void;

  /** Resolves when what was put into `[from, to)` is on the device. */
  protected abstract bringToDisk(from: number, to: number): Promise<void>;

  append(bytes: ByteChunks, position: number): void {
    const end = position + bytes.length;
    this.space.ensure(end);
    this.put(bytes, position);
    this.lead.advance(end);
  }

  async sync(from: number, to: number): Promise<void> {
    this.lead.beforeSync(to);
    await this.bringToDisk(from, to);
    if (this.#finished) return;
    this.space.checkIntact(to);
    this.lead.afterSync(to);
  }

  finish(endPosition: number): void {
    if (this.#finished) return;
    this.space.checkIntact(endPosition);
    // The mapping goes first: nothing may look at pages that the truncation takes away.
    this.#unmap();
    if (this.file.size() > endPosition) this.space.cutTo(endPosition);
    this.#finished = true;
  }

  release(): void {
    this.#finished = true;
    this.#unmap();
  }

  #unmap(): void {
    this.lead.close();
    this.mapped.unmap();
  }
}
