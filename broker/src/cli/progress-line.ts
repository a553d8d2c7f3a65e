const INTERVAL_MS = 200;
const MiB = 2 ** 20;

/** How far a tool is, in one line of a terminal that it writes over; nothing where there is no terminal. */
export class ProgressLine {
  #bytes = 0;
  #shownAtMs = -Infinity;
  #shown = false;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  step(what: string, bytes: number): void {
    this.#bytes += bytes;
    const nowMs = performance.now();
    if (!this.stream.isTTY || nowMs - this.#shownAtMs < INTERVAL_MS) return;
    this.#shownAtMs = nowMs;
    this.#shown = true;
    this.stream.write(`\r\x1b[K${Math.floor(this.#bytes / MiB)} MiB, ${what}`);
  }

  /** Makes room for other lines. */
  clear(): void {
    if (this.#shown) this.stream.write('\r\x1b[K');
    this.#shown = false;
  }
}
