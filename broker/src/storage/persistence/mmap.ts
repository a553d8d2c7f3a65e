import type { Mapping } from '@millrace/native';
import type { ByteChunks } from '@millrace/protocol';
import type { StorageFile } from './file.js';
import type { Persistence, SegmentWriter } from './persistence.js';
import { Preallocation } from './preallocation.js';
import type { GrowthListener } from './preallocation.js';
import { PrefaultBudget } from './prefault-budget.js';
import { PrefaultLead } from './prefault-lead.js';

export interface MmapOptions {
  readonly growStepMaxBytes: number;
  readonly prefaultLeadBytes: number;
  readonly prefaultBudgetBytes: number;
  readonly hugePagesFromBytes: number;
  /** The time in milliseconds, by a clock that only goes forward. Default: that of the process. */
  readonly now?: () => number;
}

const monotonicMs = (): number => performance.now();

/**
 * Appends by copying into a shared mapping and syncs by `msync(2)`, as RocketMQ's `MappedFile` does.
 * The segment's whole range is mapped once, beyond the end of the file, which grows under it.
 */
export class MmapPersistence implements Persistence {
  readonly name = 'mmap';

  constructor(
    private readonly options: MmapOptions,
    /** Shared by all segments. */
    private readonly budget = new PrefaultBudget(options.prefaultBudgetBytes),
    private readonly onGrowth?: GrowthListener,
  ) {}

  openSegment(file: StorageFile, capacityBytes: number, endPosition: number): SegmentWriter {
    if (file.native === undefined) {
      throw new Error(`${file.path}: mmap needs the native module; use --persist write`);
    }
    const { budget, options } = this;
    const { growStepMaxBytes, hugePagesFromBytes, now = monotonicMs } = options;
    const mapping = file.native.map(capacityBytes, 'write');
    const space = new Preallocation(file, capacityBytes, growStepMaxBytes, this.onGrowth);
    const lead = new PrefaultLead({
      ...{ mapping, space, budget, endPosition, hugePagesFromBytes, now },
      leadBytes: options.prefaultLeadBytes,
    });
    return new MmapSegment(file, mapping, space, lead);
  }
}

class MmapSegment implements SegmentWriter {
  #finished = false;

  constructor(
    private readonly file: StorageFile,
    private readonly mapping: Mapping,
    private readonly space: Preallocation,
    private readonly lead: PrefaultLead,
  ) {}

  append(bytes: ByteChunks, position: number): void {
    const end = position + bytes.length;
    this.space.ensure(end);
    this.mapping.write(bytes.chunks, position);
    this.lead.advance(end);
  }

  async sync(from: number, to: number): Promise<void> {
    this.lead.beforeSync(to);
    await this.mapping.sync(from, to - from);
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
    this.mapping.unmap();
  }
}
