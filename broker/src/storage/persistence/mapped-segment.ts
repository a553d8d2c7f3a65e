import type { ByteChunks } from '@millrace/protocol';
import type { StorageFile } from './file.js';
import type { HugePageCost } from './huge-pages.js';
import type { SegmentWriter } from './persistence.js';
import { Preallocation } from './preallocation.js';
import type { GrowthListener } from './preallocation.js';
import { PrefaultBudget } from './prefault-budget.js';
import { PrefaultLead } from './prefault-lead.js';
import type { LeadMapping } from './prefault-lead.js';

/** What is asked of every persistence that maps its segments. */
export interface MmapOptions {
  readonly growStepMaxBytes: number;
  readonly prefaultLeadBytes: number;
  readonly prefaultBudgetBytes: number;
  readonly hugePagesFromBytes: number;
  /** The time in milliseconds, by a clock that only goes forward. Default: that of the process. */
  readonly now?: () => number;
}

const monotonicMs = (): number => performance.now();

/** A mapping that a segment appends to. */
export interface SegmentMapping extends LeadMapping {
  unmap(): void;
}

interface SegmentParts<Mapped extends SegmentMapping> {
  readonly file: StorageFile;
  readonly mapping: Mapped;
  readonly space: Preallocation;
  readonly lead: PrefaultLead;
}

/** What the ways to persist by a mapping have in common. */
export abstract class MappedPersistence {
  constructor(
    private readonly options: MmapOptions,
    /** Shared by all segments. */
    private readonly budget = new PrefaultBudget(options.prefaultBudgetBytes),
    private readonly onGrowth?: GrowthListener,
  ) {}

  /** @param cost see {@link PrefaultLead}. */
  protected partsOf<Mapped extends SegmentMapping>(
    file: StorageFile,
    mapping: Mapped,
    place: { readonly capacityBytes: number; readonly endPosition: number },
    cost?: HugePageCost,
  ): SegmentParts<Mapped> {
    const { budget, options } = this;
    const { capacityBytes, endPosition } = place;
    const { growStepMaxBytes, hugePagesFromBytes, now = monotonicMs } = options;
    const space = new Preallocation(file, capacityBytes, growStepMaxBytes, this.onGrowth);
    const lead = new PrefaultLead({
      ...{ mapping, space, budget, endPosition, hugePagesFromBytes, now, cost },
      leadBytes: options.prefaultLeadBytes,
    });
    return { file, mapping, space, lead };
  }
}

/** A segment with a mapping that is populated ahead of its end. How bytes get into it is its heirs' to say. */
export abstract class MappedSegment<Mapped extends SegmentMapping> implements SegmentWriter {
  protected readonly file: StorageFile;
  protected readonly mapping: Mapped;
  protected readonly space: Preallocation;
  protected readonly lead: PrefaultLead;
  #finished = false;

  constructor({ file, mapping, space, lead }: SegmentParts<Mapped>) {
    this.file = file;
    this.mapping = mapping;
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
    this.mapping.unmap();
  }
}
