/**
 * Small numbers that stand for texts, each counted by its uses and given to another text when there
 * are none left. A group id or a topic id is kept once, however many offsets name it.
 */
export class TextRefs {
  readonly #refs = new Map<string, number>();
  readonly #texts: (string | undefined)[] = [];
  readonly #uses: number[] = [];
  readonly #free: number[] = [];

  /** Texts in use. */
  get size(): number {
    return this.#refs.size;
  }

  /** The number of a text, or -1 for one that is not in use. */
  find(text: string): number {
    return this.#refs.get(text) ?? -1;
  }

  /** The number of a text, with one more use. @param known what `find` gave for it. */
  take(text: string, known: number): number {
    if (known >= 0) {
      this.#uses[known] = (this.#uses[known] ?? 0) + 1;
      return known;
    }
    const ref = this.#free.pop() ?? this.#texts.length;
    this.#refs.set(text, ref);
    this.#texts[ref] = text;
    this.#uses[ref] = 1;
    return ref;
  }

  /** One use less. */
  drop(ref: number): void {
    const uses = (this.#uses[ref] ?? 0) - 1;
    this.#uses[ref] = uses;
    const text = this.#texts[ref];
    if (uses > 0 || text === undefined) return;
    this.#refs.delete(text);
    this.#texts[ref] = undefined;
    this.#free.push(ref);
  }

  textOf(ref: number): string {
    const text = this.#texts[ref];
    if (text === undefined) throw new Error(`nothing has the number ${ref}`);
    return text;
  }

  /** The texts in use. */
  texts(): IterableIterator<string> {
    return this.#refs.keys();
  }
}
