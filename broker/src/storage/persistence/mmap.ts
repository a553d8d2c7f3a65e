import type { Mapping } from '@millrace/native';
import type { ByteChunks } from '@millrace/protocol';
import type { StorageFile } from './file.js';
import type { Persistence, SegmentWriter } from './persistence.js';
import { Preallocation } from './preallocation.js';
import type { GrowthListener } from './preallocation.js';
import { PrefaultBudget } from './prefault-budget.js';

export interface MmapOptions {
  readonly growStepMaxBytes: number;
  readonly prefaultLeadBytes: number;
  readonly prefaultBudgetBytes: number;
}

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
    return new MmapSegment(
      file,
      file.native.map(capacityBytes, 'write'),
      new Preallocation(file, capacityBytes, this.options.growStepMaxBytes, this.onGrowth),
      new PrefaultLead(this.budget, this.options.prefaultLeadBytes, endPosition),
    );
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
    this.lead.advance(this.mapping, end, this.space.allocatedTo);
  }

  async sync(from: number, to: number): Promise<void> {
    await this.mapping.sync(from, to - from);
    if (!this.#finished) this.space.checkIntact(to);
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

/** Keeps a small stretch ahead of the write position populated, off the main thread. */
class PrefaultLead {
  #populatedTo: number;
  #reserved = 0;
  #busy = false;
  #end: number;

  constructor(
    private readonly budget: PrefaultBudget,
    private readonly leadBytes: number,
    endPosition: number,
  ) {
    this.#populatedTo = endPosition;
    this.#end = endPosition;
  }

  /** The write position moved to `end`; populates further when the lead is half used. */
  advance(mapping: Mapping, end: number, allocatedTo: number): void {
    this.#end = end;
    this.#release(end);
    if (this.#busy) return;
    // A segment's lead grows with what it holds: a partition that sees little pre-faults little.
    const lead = Math.min(this.leadBytes, end);
    if (this.#populatedTo - end > lead / 2) return;
    const from = Math.max(end, this.#populatedTo);
    const length = Math.min(end + lead, allocatedTo) - from;
    if (length <= 0 || !this.budget.take(length)) return;
    this.#reserved += length;
    this.#populatedTo = from + length;
    this.#busy = true;
    const done = (): void => {
      this.#busy = false;
    };
    // A failed pre-fault only means that the append faults by itself.
    mapping.populate(from, length).then(done, done);
  }

  /** An idle segment gives its reservation back; the pages stay, clean and reclaimable. */
  afterSync(syncedTo: number): void {
    if (syncedTo === this.#end) this.close();
  }

  close(): void {
    this.budget.give(this.#reserved);
    this.#reserved = 0;
  }

  #release(end: number): void {
    const ahead = Math.max(0, this.#populatedTo - end);
    if (this.#reserved <= ahead) return;
    this.budget.give(this.#reserved - ahead);
    this.#reserved = ahead;
  }
}
