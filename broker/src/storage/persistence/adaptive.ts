import type { Mapping } from '@millrace/native';
import type { ByteChunks } from '@millrace/protocol';
import type { StorageFile } from './file.js';
import { MappedSegment, monotonicMs } from './mapped-segment.js';
import type { MmapOptions, SegmentParts } from './mapped-segment.js';
import type { Persistence, SegmentWriter } from './persistence.js';
import { Preallocation } from './preallocation.js';
import type { GrowthListener } from './preallocation.js';
import { PrefaultBudget } from './prefault-budget.js';
import { PrefaultLead } from './prefault-lead.js';

/**
 * Appends by `pwritev(2)`, and where a segment gets so much that it has huge pages, by copying into a mapping.
 * So nothing is faulted in by small pages, each of which costs more than to write it; and a segment that gets
 * little is not mapped at all.
 */
export class AdaptivePersistence implements Persistence {
  readonly name = 'adaptive';

  constructor(
    private readonly options: MmapOptions,
    /** Shared by all segments. */
    private readonly budget = new PrefaultBudget(options.prefaultBudgetBytes),
    private readonly onGrowth?: GrowthListener,
  ) {}

  openSegment(file: StorageFile, capacityBytes: number, endPosition: number): SegmentWriter {
    const { budget, options } = this;
    const { growStepMaxBytes, hugePagesFromBytes, now = monotonicMs } = options;
    const mapping = new LateMapping(file, capacityBytes);
    const space = new Preallocation(file, capacityBytes, growStepMaxBytes, this.onGrowth);
    const lead = new PrefaultLead({
      ...{ mapping, space, budget, endPosition, hugePagesFromBytes, now },
      leadBytes: options.prefaultLeadBytes,
      onlyHuge: true,
    });
    return new AdaptiveSegment({ file, space, lead }, mapping);
  }
}

/** Of a file that is mapped while it has huge pages. Where it cannot be, everything goes on without. */
class LateMapping {
  #current: Mapping | undefined;
  #length: number;

  constructor(
    private readonly file: StorageFile,
    capacityBytes: number,
  ) {
    this.#length = file.native === undefined ? 0 : capacityBytes;
  }

  /** What a mapping spans; 0: there can be none. */
  get length(): number {
    return this.#length;
  }

  get current(): Mapping | undefined {
    return this.#current;
  }

  async populate(position: number, length: number): Promise<number> {
    return (await this.#current?.populate(position, length)) ?? 0;
  }

  useHugePages(position: number, wanted: boolean): void {
    if (!wanted) {
      this.unmap();
      return;
    }
    try {
      this.#current ??= this.file.native?.map(this.#length, 'write');
    } catch {
      this.#length = 0;
    }
    this.#current?.useHugePages(position, wanted);
  }

  unmap(): void {
    this.#current?.unmap();
    this.#current = undefined;
  }
}

class AdaptiveSegment extends MappedSegment {
  constructor(
    parts: SegmentParts,
    private readonly mapping: LateMapping,
  ) {
    super(parts, mapping);
  }

  protected put(bytes: ByteChunks, position: number): void {
    const mapping = this.mapping.current;
    const { hugeFrom, hugeTo } = this.lead;
    const end = position + bytes.length;
    if (mapping === undefined || end <= hugeFrom || position >= hugeTo) {
      this.#write(bytes, position);
      return;
    }
    const from = Math.max(position, hugeFrom);
    const to = Math.min(end, hugeTo);
    if (position < from) this.#write(bytes.slice(0, from - position), position);
    mapping.write(bytes.slice(from - position, to - position).chunks, from);
    if (to < end) this.#write(bytes.slice(to - position), to);
  }

  protected bringToDisk(from: number, to: number): Promise<void> {
    // Either brings both to the device, what was written and what was copied; msync lets full pages go before.
    return this.mapping.current?.sync(from, to - from) ?? this.file.sync();
  }

  #write(bytes: ByteChunks, position: number): void {
    try {
      this.file.write(bytes.chunks, position);
    } catch (error) {
      // A torn write must not be found by recovery behind a later, shorter one.
      this.space.cutTo(position);
      throw error;
    }
  }
}
