import type { Mapping } from '@millrace/native';
import type { ByteChunks } from '@millrace/protocol';
import type { StorageFile } from './file.js';
import { HugePageCost } from './huge-pages.js';
import { MappedPersistence, MappedSegment } from './mapped-segment.js';
import type { SegmentMapping } from './mapped-segment.js';
import type { Persistence, SegmentWriter } from './persistence.js';

/**
 * Appends by `pwritev(2)`, and where a segment gets so much that it has huge pages, by copying into a mapping.
 * So nothing is faulted in by small pages, each of which costs more than to write it; and a segment that gets
 * little is not mapped at all.
 */
export class AdaptivePersistence extends MappedPersistence implements Persistence {
  readonly name = 'adaptive';
  /** Of the host's and the kernel's: shared by all segments. */
  readonly #cost = new HugePageCost();

  openSegment(file: StorageFile, capacityBytes: number, endPosition: number): SegmentWriter {
    const mapping = new LateMapping(file, capacityBytes);
    const place = { capacityBytes, endPosition };
    return new AdaptiveSegment(this.partsOf(file, mapping, place, this.#cost));
  }
}

/** Of a file that is mapped while it has huge pages. */
class LateMapping implements SegmentMapping {
  #current: Mapping | undefined;
  #length: number;

  constructor(
    private readonly file: StorageFile,
    capacityBytes: number,
  ) {
    this.#length = capacityBytes;
  }

  /** What a mapping spans; 0: there can be none. */
  get length(): number {
    return this.#length;
  }

  get current(): Mapping | undefined {
    return this.#current;
  }

  open(): boolean {
    try {
      this.#current ??= this.file.native?.map(this.#length, 'write');
    } catch {
      // The process has all mappings that it may have, perhaps. Everything goes on without.
    }
    if (this.#current === undefined) this.#length = 0;
    return this.#current !== undefined;
  }

  async populate(position: number, length: number): Promise<number> {
    return (await this.#current?.populate(position, length)) ?? NaN;
  }

  useHugePages(position: number, wanted: boolean): void {
    this.#current?.useHugePages(position, wanted);
  }

  rest(): void {
    this.unmap();
  }

  unmap(): void {
    this.#current?.unmap();
    this.#current = undefined;
  }
}

class AdaptiveSegment extends MappedSegment<LateMapping> {
  protected put(bytes: ByteChunks, position: number): void {
    try {
      this.#put(bytes, position);
    } catch (error) {
      // A torn append must not be found by recovery behind a later, shorter one. A file that somebody else has cut
      // further is left as it is: the next look at it must find that.
      if (this.file.size() > position) this.space.cutTo(position);
      throw error;
    }
  }

  protected bringToDisk(from: number, to: number): Promise<void> {
    // Either brings both to the device, what was written and what was copied; msync lets full pages go before.
    return this.mapping.current?.sync(from, to - from) ?? this.file.sync();
  }

  #put(bytes: ByteChunks, position: number): void {
    const end = position + bytes.length;
    const from = Math.max(position, this.lead.copyFrom);
    const to = Math.min(end, this.lead.copyTo);
    const mapping = this.mapping.current;
    if (mapping === undefined || from >= to) {
      this.file.write(bytes.chunks, position);
      return;
    }
    if (position < from) this.file.write(bytes.slice(0, from - position).chunks, position);
    mapping.write(bytes.slice(from - position, to - position).chunks, from);
    if (to < end) this.file.write(bytes.slice(to - position).chunks, to);
  }
}
