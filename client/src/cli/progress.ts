/** Between two updates, in milliseconds. */
const UPDATE_MS = 500;

/** A running count on stderr, on a terminal only. */
export class Progress {
  readonly #stderr: NodeJS.WriteStream;
  readonly #verb: string;
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #count = 0;
  #shown = false;

  /**
   * @param visible false where it would disturb: with output on the same terminal
   */
  constructor(stderr: NodeJS.WriteStream, verb: string, visible: boolean) {
    this.#stderr = stderr;
    this.#verb = verb;
    if (!visible || !stderr.isTTY) return;
    this.#timer = setInterval(() => this.#show(), UPDATE_MS);
    this.#timer.unref();
  }

  get count(): number {
    return this.#count;
  }

  add(count: number): void {
    this.#count += count;
  }

  /** Shows the final count, when there was anything to show. */
  end(): void {
    clearInterval(this.#timer);
    if (this.#timer === undefined || !this.#shown) return;
    this.#show();
    this.#stderr.write('\n');
  }

  #show(): void {
    this.#shown = true;
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const rate = Math.round(this.#count / Math.max(seconds, 0.001));
    const count = this.#count.toLocaleString('en-US');
    const perSecond = rate.toLocaleString('en-US');
    this.#stderr.write(`\r${this.#verb} ${count} messages (${perSecond}/s)\u001b[K`);
  }
}
