import { HUGE_PAGE_BYTES } from '@millrace/native';
import type { Mapping } from '@millrace/native';

/** At so many times the least between two syncs, each second, huge pages are worth their cost. */
const HUGE_FROM_TIMES_PER_SECOND = 4;
/** With so much less between two syncs, or so much slower, they are not any more. */
const ENOUGH_TO_STAY = 0.5;
/** A page that takes more CPU time to have, in microseconds, is dearer than to write what it holds. */
const MAX_CPU_US = 500;
/** Then there is no other try for so long. */
const TRY_AGAIN_AFTER_MS = 3_000;
/** A fault may read so far ahead, in small pages: twice Linux's default (read_ahead_kb). */
const READ_AHEAD_BYTES = 256 * 1024;

/**
 * Whether huge pages were dear when they were tried last. That is a matter of the host and its kernel, so all
 * segments share it.
 */
export class HugePageCost {
  #dearUntilMs = -Infinity;

  isDear(nowMs: number): boolean {
    return nowMs < this.#dearUntilMs;
  }

  /**
   * So much was populated, for so much CPU time: NaN where it was not, after all. A host that gives memory only when it
   * is touched makes huge pages dear, and so does a kernel that gives small ones instead.
   *
   * @returns whether that was dear.
   */
  populated(bytes: number, cpuMicroseconds: number, nowMs: number): boolean {
    if (cpuMicroseconds <= (bytes / HUGE_PAGE_BYTES) * MAX_CPU_US) return false;
    if (Number.isNaN(cpuMicroseconds)) this.#dearUntilMs = Infinity;
    else this.#dearUntilMs = nowMs + TRY_AGAIN_AFTER_MS;
    return true;
  }
}

/**
 * Whether a segment is appended to by way of huge pages. A page fault costs about as much for 2 MiB as for
 * 4 KiB; but a sync writes all of a page of which anything was changed, and to have a huge page can take
 * milliseconds. So they are for segments that get much, and fast.
 */
export class HugePages {
  #isOn = false;
  #endsSoon = false;
  /** Where the last sync that began reaches to. */
  #countedTo: number;
  /** When something was appended first behind that; undefined: nothing was. */
  #sinceMs: number | undefined;

  /**
   * @param fromBytes so much between two syncs, and four times as much a second; 0: never.
   * @param now the time in milliseconds, by a clock that only goes forward.
   */
  constructor(
    private readonly mapping: Pick<Mapping, 'length' | 'useHugePages'>,
    private readonly fromBytes: number,
    endPosition: number,
    private readonly now: () => number,
  ) {
    this.#countedTo = endPosition;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** They are to end, see {@link end}. */
  get endsSoon(): boolean {
    return this.#endsSoon;
  }

  appended(): void {
    this.#sinceMs ??= this.now();
  }

  /** Where they would begin, beyond `populatedTo`, if the segment, whose data end at `end`, is worth it. */
  startFor(end: number, populatedTo: number): number | undefined {
    if (this.fromBytes === 0 || !this.#isMuch(end, 1)) return undefined;
    const start = hugePageEnd(populatedTo + READ_AHEAD_BYTES);
    return start < this.mapping.length ? start : undefined;
  }

  /** @param start see {@link startFor}. */
  begin(start: number): void {
    this.mapping.useHugePages(start, true);
    this.#isOn = true;
  }

  /** A sync up to `to` begins: what is appended meanwhile, however long that takes, counts for the next one. */
  syncing(to: number): void {
    // They end, then, even if much comes until that can be: what is not copied any more lies in small ones.
    this.#endsSoon ||= this.#isOn && !this.#isMuch(to, ENOUGH_TO_STAY);
    this.#countedTo = to;
    this.#sinceMs = undefined;
  }

  /** There is no room for them, or they are dear. */
  giveUp(): void {
    this.#endsSoon = this.#isOn;
  }

  /** Small pages from now on; the whole mapping is one again for the kernel, however often this happens. */
  end(): void {
    this.mapping.useHugePages(0, false);
    this.#isOn = false;
    this.#endsSoon = false;
  }

  /** @param share how much of the thresholds is enough. */
  #isMuch(to: number, share: number): boolean {
    const bytes = to - this.#countedTo;
    const least = share * this.fromBytes;
    if (bytes < least) return false;
    const seconds = this.#sinceMs === undefined ? 0 : (this.now() - this.#sinceMs) / 1_000;
    return bytes >= least * HUGE_FROM_TIMES_PER_SECOND * seconds;
  }
}

/** The end of the huge page that holds the byte before `position`. */
export function hugePageEnd(position: number): number {
  return Math.ceil(position / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES;
}
