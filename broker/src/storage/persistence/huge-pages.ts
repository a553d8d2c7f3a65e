import { HUGE_PAGE_BYTES } from '@millrace/native';
import type { Mapping } from '@millrace/native';

/** So much appended between two syncs, and huge pages are worth what they cost. */
const HUGE_FROM_BYTES = 32 * 1024 * 1024;
/** So little, and they are not any more. */
const HUGE_BELOW_BYTES = 16 * 1024 * 1024;
/** A fault may read so far ahead, in small pages: twice Linux's default (read_ahead_kb). */
const READ_AHEAD_BYTES = 256 * 1024;

/**
 * Whether a segment is appended to by way of huge pages. A page fault costs about as much for 2 MiB as for
 * 4 KiB; but a sync writes all of a page of which anything was changed. So they are for segments that get much
 * between two syncs.
 */
export class HugePages {
  #wanted = false;
  #syncedTo: number;

  constructor(
    private readonly mapping: Mapping,
    endPosition: number,
  ) {
    this.#syncedTo = endPosition;
  }

  get wanted(): boolean {
    return this.#wanted;
  }

  /** Data ends at `end`. Returns where huge pages begin if they do so with this append, beyond `populatedTo`. */
  appended(end: number, populatedTo: number): number | undefined {
    if (this.#wanted || end - this.#syncedTo < HUGE_FROM_BYTES) return undefined;
    const from = hugePageEnd(populatedTo + READ_AHEAD_BYTES);
    if (from >= this.mapping.length) return undefined;
    this.mapping.useHugePages(from, true);
    this.#wanted = true;
    return from;
  }

  /** A sync reached `to`, data ends at `end`. Returns whether huge pages end with this, behind the one with `end`. */
  synced(to: number, end: number): boolean {
    const bytes = to - this.#syncedTo;
    this.#syncedTo = Math.max(to, this.#syncedTo);
    if (!this.#wanted || bytes >= HUGE_BELOW_BYTES) return false;
    const from = hugePageEnd(end);
    if (from < this.mapping.length) this.mapping.useHugePages(from, false);
    this.#wanted = false;
    return true;
  }
}

/** The end of the huge page that holds the byte before `position`. */
export function hugePageEnd(position: number): number {
  return Math.ceil(position / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES;
}
