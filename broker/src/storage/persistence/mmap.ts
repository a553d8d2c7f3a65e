import type { Mapping } from '@millrace/native';
import type { ByteChunks } from '@millrace/protocol';
import type { StorageFile } from './file.js';
import { MappedPersistence, MappedSegment } from './mapped-segment.js';
import type { Persistence, SegmentWriter } from './persistence.js';

/**
 * Appends by copying into a shared mapping and syncs by `msync(2)`, as RocketMQ's `MappedFile` does.
 * The segment's whole range is mapped once, beyond the end of the file, which grows under it.
 */
export class MmapPersistence extends MappedPersistence implements Persistence {
  readonly name = 'mmap';

  openSegment(file: StorageFile, capacityBytes: number, endPosition: number): SegmentWriter {
    if (file.native === undefined) {
      throw new Error(`${file.path}: mmap needs the native module; use --persist write`);
    }
    const mapping = file.native.map(capacityBytes, 'write');
    return new MmapSegment(this.partsOf(file, mapping, { capacityBytes, endPosition }));
  }
}

class MmapSegment extends MappedSegment<Mapping> {
  protected put(bytes: ByteChunks, position: number): void {
    this.mapping.write(bytes.chunks, position);
  }

  protected bringToDisk(from: number, to: number): Promise<void> {
    return this.mapping.sync(from, to - from);
  }
}
