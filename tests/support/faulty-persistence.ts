import type { ByteChunks } from '@millrace/protocol';
import type { StorageFile } from '../../broker/src/storage/persistence/file.js';
import type {
  Persistence,
  SegmentWriter,
} from '../../broker/src/storage/persistence/persistence.js';

/** A system error as the native module and Node throw it. */
export function systemError(code: string): Error & { code: string } {
  return Object.assign(new Error(`${code}: made by a test`), { code });
}

/** A persistence that a test holds up and breaks. */
export class FaultyPersistence implements Persistence {
  /** Errors that the next syncs reject with; undefined lets one through. */
  readonly syncFaults: (Error | undefined)[] = [];
  /** Errors that the next appends throw, before they do anything. */
  readonly appendFaults: (Error | undefined)[] = [];
  syncs = 0;
  #held: (() => void)[] | undefined;
  #arrived: (() => void)[] = [];

  constructor(private readonly inner: Persistence) {}

  get name(): Persistence['name'] {
    return this.inner.name;
  }

  /** From now on syncs do not begin until `letSyncsGo`. */
  holdSyncs(): void {
    this.#held ??= [];
  }

  /** Lets the syncs that wait, and all later ones, go on. */
  letSyncsGo(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const go of held) go();
  }

  /** Resolves when a sync waits to be let go. */
  async syncHeld(): Promise<void> {
    if ((this.#held?.length ?? 0) > 0) return;
    await new Promise<void>((resolve) => this.#arrived.push(resolve));
  }

  openSegment(file: StorageFile, capacityBytes: number, endPosition: number): SegmentWriter {
    const writer = this.inner.openSegment(file, capacityBytes, endPosition);
    return {
      append: (bytes: ByteChunks, position: number): void => {
        const fault = this.appendFaults.shift();
        if (fault !== undefined) throw fault;
        writer.append(bytes, position);
      },
      sync: async (from: number, to: number): Promise<void> => {
        this.syncs += 1;
        await this.#gate();
        const fault = this.syncFaults.shift();
        if (fault !== undefined) throw fault;
        await writer.sync(from, to);
      },
      finish: (endPosition: number): void => writer.finish(endPosition),
      release: (): void => writer.release(),
    };
  }

  #gate(): Promise<void> {
    const held = this.#held;
    if (held === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      held.push(resolve);
      for (const arrived of this.#arrived.splice(0)) arrived();
    });
  }
}
