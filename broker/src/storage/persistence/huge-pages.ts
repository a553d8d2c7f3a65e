import { HUGE_PAGE_BYTES } from '@millrace/native';
import type { Mapping } from '@millrace/native';

/** So much appended since the last sync, as fast as {@link HUGE_FROM_BYTES_PER_MS}, and huge pages are worth their cost. */
const HUGE_FROM_BYTES = 8 * 1024 * 1024;
/** 32 MiB a second. */
const HUGE_FROM_BYTES_PER_MS = (32 * 1024 * 1024) / 1000;
/** With so little between two syncs, or half as fast, they are not any more. */
const HUGE_BELOW_BYTES = HUGE_FROM_BYTES / 2;
const HUGE_BELOW_BYTES_PER_MS = HUGE_FROM_BYTES_PER_MS / 2;
/** A fault may read so far ahead, in small pages: twice Linux's default (read_ahead_kb). */
const READ_AHEAD_BYTES = 256 * 1024;

/**
 * Whether a segment is appended to by way of huge pages. A page fault costs about as much for 2 MiB as for
 * 4 KiB; but a sync writes all of a page of which anything was changed, and to have a huge page can take
 * milliseconds. So they are for segments that get much, and fast.
 */
export class HugePages {
  #wanted = false;
  #syncedTo: number;
  /** When something was appended first since the last sync; undefined: nothing was. */
  #sinceMs: number | undefined;

  /** @param now the time in milliseconds, by a clock that only goes forward. */
  constructor(
    private readonly mapping: Mapping,
    endPosition: number,
    private readonly now: () => number,
  ) {
    this.#syncedTo = endPosition;
  }

  get wanted(): boolean {
    return this.#wanted;
  }

  /** Data ends at `end`. Returns where huge pages begin if they do so with this append, beyond `populatedTo`. */
  appended(end: number, populatedTo: number): number | undefined {
    this.#sinceMs ??= this.now();
    if (this.#wanted) return undefined;
    const bytes = end - this.#syncedTo;
    if (bytes < HUGE_FROM_BYTES || bytes < this.#elapsedMs() * HUGE_FROM_BYTES_PER_MS)
      return undefined;
    const from = hugePageEnd(populatedTo + READ_AHEAD_BYTES);
    if (from >= this.mapping.length) return undefined;
    this.mapping.useHugePages(from, true);
    this.#wanted = true;
    return from;
  }

  /** A sync reached `to`, data ends at `end`. Returns whether huge pages end with this, behind the one with `end`. */
  synced(to: number, end: number): boolean {
    const bytes = to - this.#syncedTo;
    const isMuch =
      bytes >= HUGE_BELOW_BYTES && bytes >= this.#elapsedMs() * HUGE_BELOW_BYTES_PER_MS;
    this.#syncedTo = Math.max(to, this.#syncedTo);
    this.#sinceMs = undefined;
    if (!this.#wanted || isMuch) return false;
    const from = hugePageEnd(end);
    if (from < this.mapping.length) this.mapping.useHugePages(from, false);
    this.#wanted = false;
    return true;
  }

  #elapsedMs(): number {
    return this.#sinceMs === undefined ? 0 : this.now() - this.#sinceMs;
  }
}

/** The end of the huge page that holds the byte before `position`. */
export function hugePageEnd(position: number): number {
  return Math.ceil(position / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES;
}
