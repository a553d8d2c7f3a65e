/** Ends of regions given lately, whose offsets tailing readers come back with. */
const REMEMBERED_POSITIONS = 64;

/** Where offsets lie in a segment, for the few that are about to be asked for. */
export class RememberedPositions {
  /*
   * Rings, made when the first is remembered. Not a Map: one whose entries come and go is copied every few of them,
   * and a copy that got old keeps those after it, with all they refer to, from being collected young.
   */
  #offsets: Float64Array | undefined;
  #positions: Float64Array | undefined;
  /** Where the next one goes: the offset that was told first is forgotten for it. */
  #next = 0;

  get(offset: number): number | undefined {
    const place = this.#offsets?.indexOf(offset) ?? -1;
    return place < 0 ? undefined : this.#positions?.[place];
  }

  set(offset: number, position: number): void {
    const offsets = (this.#offsets ??= new Float64Array(REMEMBERED_POSITIONS).fill(NaN));
    const positions = (this.#positions ??= new Float64Array(REMEMBERED_POSITIONS));
    const known = offsets.indexOf(offset);
    const place = known < 0 ? this.#next : known;
    offsets[place] = offset;
    positions[place] = position;
    if (known < 0) this.#next = (place + 1) % REMEMBERED_POSITIONS;
  }
}
