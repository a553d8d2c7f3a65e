import type { Mapping } from '@millrace/native';
import { hugePageEnd, HugePages } from './huge-pages.js';
import type { HugePageCost } from './huge-pages.js';
import type { Preallocation } from './preallocation.js';
import type { PrefaultBudget } from './prefault-budget.js';

/** A mapping, or one that is made when it is needed. */
export interface LeadMapping extends Pick<Mapping, 'length' | 'populate' | 'useHugePages'> {
  /** Huge pages begin. False: the file cannot be mapped. Where this lacks, it is mapped all the time. */
  open?(): boolean;
  /** There are none any more. */
  rest?(): void;
}

export interface PrefaultLeadOptions {
  readonly mapping: LeadMapping;
  readonly space: Preallocation;
  /** Shared by all segments. */
  readonly budget: PrefaultBudget;
  /** How far ahead of the write position to populate, at most; with huge pages to the end of the last of them. */
  readonly leadBytes: number;
  /** See {@link HugePages}. */
  readonly hugePagesFromBytes: number;
  /** Where the segment's data ends. */
  readonly endPosition: number;
  /** The time in milliseconds, by a clock that only goes forward. */
  readonly now: () => number;
  /** With it, shared by all segments, nothing is populated but huge pages, and these while they are cheap. */
  readonly cost?: HugePageCost | undefined;
}

/** Keeps a small stretch ahead of a segment's write position populated, off the main thread. */
export class PrefaultLead {
  readonly #mapping: LeadMapping;
  readonly #space: Preallocation;
  readonly #budget: PrefaultBudget;
  readonly #leadBytes: number;
  readonly #hugePages: HugePages;
  readonly #cost: HugePageCost | undefined;
  readonly #now: () => number;
  #copyFrom = Infinity;
  #populatedTo: number;
  #reserved = 0;
  #busy = false;
  /** Nothing was appended since the last sync. */
  #idle = false;
  #end: number;

  constructor(options: PrefaultLeadOptions) {
    const { mapping, space, budget, leadBytes, hugePagesFromBytes, endPosition, now } = options;
    this.#cost = options.cost;
    this.#now = now;
    this.#mapping = mapping;
    this.#space = space;
    this.#budget = budget;
    this.#leadBytes = leadBytes;
    const fromBytes = leadBytes === 0 ? 0 : hugePagesFromBytes;
    this.#hugePages = new HugePages(mapping, fromBytes, endPosition, now);
    this.#populatedTo = endPosition;
    this.#end = endPosition;
  }

  /** Where huge pages begin that were found to be cheap; Infinity while there are none. */
  get copyFrom(): number {
    return this.#copyFrom;
  }

  /** Where these end: Infinity, while they go on ahead of the end. */
  get copyTo(): number {
    return this.#hugePages.endsSoon ? this.#populatedTo : Infinity;
  }

  /** The write position moved to `end`; populates further when the lead is half used. */
  advance(end: number): void {
    this.#end = end;
    this.#idle = false;
    this.#release(end);
    this.#hugePages.appended();
    if (this.#busy) return;
    // A segment's lead grows with what it holds: a partition that sees little pre-faults little.
    const lead = Math.min(this.#leadBytes, end);
    if (this.#populatedTo - end > lead / 2) return;
    const from = Math.max(end, this.#populatedTo);
    if (from >= this.#mapping.length) return;
    if (this.#hugePages.isOn) {
      const hasRoom = this.#hugePages.endsSoon || this.#advanceHuge(from, end + lead);
      // It may come back while some of the lead is left.
      if (!hasRoom && from === end) this.#hugePages.giveUp();
      return;
    }
    const start = this.#hugePages.startFor(end, from);
    if (start !== undefined && this.#advanceHuge(from, Math.max(end + lead, start), start)) return;
    if (this.#cost !== undefined) return;
    const to = this.#reserve(from, end + lead);
    if (to !== undefined) this.#run(this.#populate(from, to));
  }

  /** A sync up to `to` begins. */
  beforeSync(to: number): void {
    this.#hugePages.syncing(to);
  }

  /** That sync has ended. An idle segment gives its reservation back; its pages stay. */
  afterSync(to: number): void {
    this.#idle = to === this.#end;
    this.#closeIfIdle();
    if (this.#hugePages.endsSoon && !this.#busy) this.#endHuge();
  }

  close(): void {
    this.#budget.give(this.#reserved);
    this.#reserved = 0;
  }

  /**
   * Populates in huge pages, as far as the last of them reaches.
   * @param start where they begin.
   * @returns whether there is room for that.
   */
  #advanceHuge(from: number, wanted: number, start?: number): boolean {
    if (this.#cost !== undefined)
      return this.#advanceCheap(this.#cost, start ?? from, wanted, start);
    const end = hugePageEnd(wanted);
    this.#space.reach(end);
    const to = this.#reserve(from, end);
    if (to === undefined) return false;
    if (start !== undefined) this.#hugePages.begin(start);
    const middle = Math.min(start ?? from, to);
    // They go first: what is read ahead for the small ones before them would take their place.
    this.#run(Promise.allSettled([this.#populate(middle, to), this.#populate(from, middle)]));
    return true;
  }

  /** The same without what is before them, and not where they are dear. */
  #advanceCheap(cost: HugePageCost, from: number, wanted: number, start?: number): boolean {
    const begins = start !== undefined;
    if (begins && (cost.isDear(this.#now()) || this.#mapping.open?.() === false)) return false;
    const end = hugePageEnd(Math.max(wanted, from + 1));
    this.#space.reach(end);
    const to = this.#reserve(from, end);
    if (to === undefined) return false;
    if (start !== undefined) this.#hugePages.begin(start);
    const found = (cpuMicroseconds: number): void => {
      if (cost.populated(to - from, cpuMicroseconds, this.#now())) this.#hugePages.giveUp();
      // Until now all was written: that leaves the pages as they are, but for those that were not there yet.
      else this.#copyFrom = Math.min(this.#copyFrom, Math.max(from, this.#end));
    };
    this.#run(this.#populate(from, to).then(found, () => found(Infinity)));
    return true;
  }

  /**
   * Rejects also where the mapping throws: an append must not fail for what only makes it faster.
   * @returns the CPU time that it took, in microseconds.
   */
  async #populate(from: number, to: number): Promise<number> {
    return from < to ? this.#mapping.populate(from, to - from) : 0;
  }

  /** @returns how far from `from` towards `to` there is both space and memory; undefined: not at all. */
  #reserve(from: number, to: number): number | undefined {
    const length = Math.min(to, this.#space.allocatedTo) - from;
    if (length <= 0 || !this.#budget.take(length)) return undefined;
    this.#reserved += length;
    this.#populatedTo = from + length;
    return this.#populatedTo;
  }

  /** A failed pre-fault only means that the append faults by itself. */
  #run(populating: Promise<unknown>): void {
    this.#busy = true;
    const done = (): void => {
      this.#busy = false;
      this.#closeIfIdle();
    };
    populating.then(done, done);
  }

  /** A cut is what splits the huge page that holds the end, so that a sync need not write all of it. */
  #endHuge(): void {
    try {
      this.#space.cutTo(this.#end);
      this.#hugePages.end();
      this.#mapping.rest?.();
      this.#copyFrom = Infinity;
    } catch {
      return; // The next sync tries it again; until then each costs more.
    }
    this.close();
    this.#populatedTo = this.#end;
  }

  #closeIfIdle(): void {
    if (this.#idle && !this.#busy) this.close();
  }

  #release(end: number): void {
    const ahead = Math.max(0, this.#populatedTo - end);
    if (this.#reserved <= ahead) return;
    this.#budget.give(this.#reserved - ahead);
    this.#reserved = ahead;
  }
}
