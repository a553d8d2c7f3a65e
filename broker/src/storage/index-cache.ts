import type { OffsetIndex } from './offset-index.js';

/** Indexes of sealed segments by file path, the longest unused forgotten beyond `maxBytes`. */
export class IndexCache {
  readonly #indexes = new Map<string, OffsetIndex>();
  readonly #loading = new Map<string, Promise<OffsetIndex>>();
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
    const underWay = this.#loading.get(path);
    if (underWay !== undefined) return underWay;
    const loading = load()
      .then((index) => {
        this.put(path, index);
        return index;
      })
      .finally(() => this.#loading.delete(path));
    this.#loading.set(path, loading);
    return loading;
  }

  put(path: string, index: OffsetIndex): void {
    this.drop(path);
    this.#indexes.set(path, index);
    this.#bytes += index.memoryBytes;
    for (const oldest of this.#indexes.keys()) {
      if (this.#bytes <= this.maxBytes) return;
      this.drop(oldest);
    }
  }

  drop(path: string): void {
    const index = this.#indexes.get(path);
    if (index === undefined) return;
    this.#indexes.delete(path);
    this.#bytes -= index.memoryBytes;
  }
}
