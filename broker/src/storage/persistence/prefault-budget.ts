/**
 * What all mapped segments together may have pre-faulted ahead of their write positions. Populated
 * pages are dirty, so a lead is memory taken and work for the next sync.
 */
export class PrefaultBudget {
  #used = 0;

  constructor(private readonly limitBytes: number) {}

  get usedBytes(): number {
    return this.#used;
  }

  /** Takes `bytes` if they are left; false, and nothing taken, otherwise. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.limitBytes) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}
