import type { OffsetIndex } from './offset-index.js';

/** A load that several may wait for. */
interface Loading {
  index: Promise<OffsetIndex>;
}

/** Indexes of sealed segments by file path, the longest unused forgotten beyond `maxBytes`. */
export class IndexCache {
  readonly #indexes = new Map<string, OffsetIndex>();
  readonly #loading = new Map<string, Loading>();
  #bytes = 0;

  constructor(private readonly maxBytes: number) {}

  get memoryBytes(): number {
    return this.#bytes;
  }

  /** The index of `path`, by `load` when it is not here; concurrent callers share one load. */
  get(path: string, load: () => Promise<OffsetIndex>): OffsetIndex | Promise<OffsetIndex> {
    const known = this.#indexes.get(path);
    if (known !== undefined) {
      this.#indexes.delete(path);
      this.#indexes.set(path, known);
      return known;
    }
    const underWay = this.#loading.get(path)?.index;
    if (underWay !== undefined) return underWay;
    const index = load();
    const loading: Loading = { index };
    this.#loading.set(path, loading);
    return (loading.index = this.#keep(path, loading, index));
  }

  /** Keeps `index`; one that is being loaded for the same path is not kept any more. */
  put(path: string, index: OffsetIndex): void {
    this.drop(path);
    this.#indexes.set(path, index);
    this.#bytes += index.memoryBytes;
    for (const oldest of this.#indexes.keys()) {
      if (this.#bytes <= this.maxBytes) return;
      this.#forget(oldest);
    }
  }

  /** Forgets the index of a file that goes away or changes, one that is being loaded included. */
  drop(path: string): void {
    this.#loading.delete(path);
    this.#forget(path);
  }

  async #keep(path: string, loading: Loading, loaded: Promise<OffsetIndex>): Promise<OffsetIndex> {
    try {
      const index = await loaded;
      if (this.#loading.get(path) === loading) this.put(path, index);
      return index;
    } finally {
      if (this.#loading.get(path) === loading) this.#loading.delete(path);
    }
  }

  #forget(path: string): void {
    const index = this.#indexes.get(path);
    if (index === undefined) return;
    this.#indexes.delete(path);
    this.#bytes -= index.memoryBytes;
  }
}
