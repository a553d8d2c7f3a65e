import { readFileSync } from 'node:fs';

/**
 * Memory of a process that is its own, in bytes: `RssAnon` of proc(5). Mapped log files are left out,
 * for they are page cache, which the kernel takes back when it needs it.
 */
export function anonymousBytes(pid: number): number {
  const kib = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`/proc/${pid}/status has no RssAnon`);
  return Number(kib) * 1024;
}

/** The most that was seen, looked at ten times a second until {@link stop}. */
export class MemoryWatch {
  #mostBytes = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly pid: number) {
    this.#timer = setInterval(() => this.#look(), 100);
  }

  /** Ends the watch; resolves to the most bytes that were seen. */
  stop(): number {
    clearInterval(this.#timer);
    this.#look();
    return this.#mostBytes;
  }

  #look(): void {
    this.#mostBytes = Math.max(this.#mostBytes, anonymousBytes(this.pid));
  }
}
