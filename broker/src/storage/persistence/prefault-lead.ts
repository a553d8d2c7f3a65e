import type { Mapping } from '@millrace/native';
import { hugePageEnd, HugePages } from './huge-pages.js';
import type { Preallocation } from './preallocation.js';
import type { PrefaultBudget } from './prefault-budget.js';

export interface PrefaultLeadOptions {
  readonly mapping: Mapping;
  readonly space: Preallocation;
  /** Shared by all segments. */
  readonly budget: PrefaultBudget;
  /** How far ahead of the write position to populate, at most. */
  readonly leadBytes: number;
  /** Where the segment's data ends. */
  readonly endPosition: number;
  /** The time in milliseconds, by a clock that only goes forward. */
  readonly now: () => number;
}

/** Keeps a small stretch ahead of a segment's write position populated, off the main thread. */
export class PrefaultLead {
  readonly #mapping: Mapping;
  readonly #space: Preallocation;
  readonly #budget: PrefaultBudget;
  readonly #leadBytes: number;
  readonly #hugePages: HugePages;
  #populatedTo: number;
  #reserved = 0;
  #busy = false;
  #end: number;

  constructor(options: PrefaultLeadOptions) {
    const { mapping, space, budget, leadBytes, endPosition, now } = options;
    this.#mapping = mapping;
    this.#space = space;
    this.#budget = budget;
    this.#leadBytes = leadBytes;
    this.#hugePages = new HugePages(mapping, endPosition, now);
    this.#populatedTo = endPosition;
    this.#end = endPosition;
  }

  /** The write position moved to `end`; populates further when the lead is half used. */
  advance(end: number): void {
    this.#end = end;
    this.#release(end);
    if (this.#busy) return;
    // A segment's lead grows with what it holds: a partition that sees little pre-faults little.
    const lead = Math.min(this.#leadBytes, end);
    if (this.#populatedTo - end > lead / 2) return;
    const from = Math.max(end, this.#populatedTo);
    const hugeFrom = this.#hugePages.appended(end, from);
    let to = hugeFrom ?? end + lead;
    if (this.#hugePages.wanted) {
      to = hugePageEnd(Math.max(to, end + lead));
      this.#space.reach(to);
    }
    const length = Math.min(to, this.#space.allocatedTo) - from;
    if (length <= 0 || !this.#budget.take(length)) return;
    this.#reserved += length;
    this.#populatedTo = from + length;
    this.#busy = true;
    const done = (): void => {
      this.#busy = false;
    };
    // A failed pre-fault only means that the append faults by itself.
    this.#populate(from, from + length, hugeFrom).then(done, done);
  }

  /** A sync reached `syncedTo`. An idle segment gives its reservation back; its pages stay. */
  afterSync(syncedTo: number): void {
    if (syncedTo === this.#end) this.close();
    if (this.#hugePages.synced(syncedTo, this.#end)) this.#giveUp();
  }

  close(): void {
    this.#budget.give(this.#reserved);
    this.#reserved = 0;
  }

  /**
   * Huge pages go first: what is read ahead for the small ones before them would take their place.
   * @param hugeFrom where they begin, when they do within the range.
   */
  async #populate(from: number, to: number, hugeFrom = to): Promise<void> {
    const middle = Math.min(hugeFrom, to);
    const huge = middle < to ? this.#mapping.populate(middle, to - middle) : undefined;
    await Promise.all([huge, this.#mapping.populate(from, middle - from)]);
  }

  /** A cut is what splits the huge page that holds the end, so that a sync need not write all of it. */
  #giveUp(): void {
    this.close();
    try {
      this.#space.cutTo(this.#end);
      this.#populatedTo = this.#end;
    } catch {
      // Then syncs cost more for a while.
    }
  }

  #release(end: number): void {
    const ahead = Math.max(0, this.#populatedTo - end);
    if (this.#reserved <= ahead) return;
    this.#budget.give(this.#reserved - ahead);
    this.#reserved = ahead;
  }
}
