import type { ByteChunks } from '@millrace/protocol';
import type { StorageFile } from './file.js';
import type { Persistence, SegmentWriter } from './persistence.js';
import { Preallocation } from './preallocation.js';
import type { GrowthListener } from './preallocation.js';

/** Appends by `pwritev(2)` and syncs by `fdatasync(2)`, as Kafka's `FileChannel.write` does. */
export class WritePersistence implements Persistence {
  readonly name = 'write';

  constructor(
    private readonly growStepMaxBytes: number,
    private readonly onGrowth?: GrowthListener,
  ) {}

  openSegment(file: StorageFile, capacityBytes: number): SegmentWriter {
    return new WriteSegment(
      file,
      new Preallocation(file, capacityBytes, this.growStepMaxBytes, this.onGrowth),
    );
  }
}

class WriteSegment implements SegmentWriter {
  #finished = false;

  constructor(
    private readonly file: StorageFile,
    private readonly space: Preallocation,
  ) {}

  append(bytes: ByteChunks, position: number): void {
    this.space.ensure(position + bytes.length);
    try {
      this.file.write(bytes.chunks, position);
    } catch (error) {
      // A torn write must not be found by recovery behind a later, shorter one.
      this.space.cutTo(position);
      throw error;
    }
  }

  async sync(_from: number, to: number): Promise<void> {
    await this.file.sync();
    if (!this.#finished) this.space.checkIntact(to);
  }

  finish(endPosition: number): void {
    if (this.#finished) return;
    this.space.checkIntact(endPosition);
    if (this.file.size() > endPosition) this.space.cutTo(endPosition);
    this.#finished = true;
  }

  release(): void {
    this.#finished = true;
  }
}
