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
    return new MmapSegment({ file, space, lead }, mapping);
  }
}

class MmapSegment extends MappedSegment {
  constructor(
    parts: SegmentParts,
    private readonly mapping: Mapping,
  ) {
    super(parts, mapping);
  }

  protected put(bytes: ByteChunks, position: number): void {
    this.mapping.write(bytes.chunks, position);
  }

  protected bringToDisk(from: number, to: number): Promise<void> {
    return this.mapping.sync(from, to - from);
  }
}
