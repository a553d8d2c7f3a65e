/** Ends of regions given lately, whose offsets tailing readers come back with. */
const REMEMBERED_POSITIONS = 64;

/** Where offsets lie in a segment, for the few that are about to be asked for. */
export class RememberedPositions {
  /** By offset; the oldest first. */
  readonly #positions = new Map<number, number>();

  get(offset: number): number | undefined {
    return this.#positions.get(offset);
  }

  set(offset: number, position: number): void {
    this.#positions.delete(offset);
    this.#positions.set(offset, position);
    if (this.#positions.size <= REMEMBERED_POSITIONS) return;
    for (const oldest of this.#positions.keys()) {
      this.#positions.delete(oldest);
      return;
    }
  }
}
