import type { Seat } from '../roster.js';
import type { Visibility } from '../storage/storage-config.js';
import type { Partition } from '../topics/partition.js';
import type { ConnectionContext, Wait } from './context.js';

/** `again`: look once more. `over`: answer with what there is. `cancelled`: nobody is there. */
export type WaitOutcome = 'again' | 'over' | 'cancelled';

export interface Watched {
  readonly partition: Partition;
  /** How far the partition could be read when it was looked at. */
  readonly highWatermark: number;
}

/** One long poll: ends when enough became visible, by its timer, or with its connection. */
export class FetchWait implements Wait {
  readonly outcome: Promise<WaitOutcome>;
  #settle: (outcome: WaitOutcome) => void = () => undefined;
  readonly #stops: (() => void)[] = [];
  readonly #sizesBytes: readonly number[];
  readonly #timer: NodeJS.Timeout;
  readonly #seat: Seat<Wait>;
  #over = false;

  /**
   * Begins to wait, unless there is nothing to wait for.
   *
   * @param missingBytes how much must become visible before it is worth to look again.
   * @param visibility `durable`: bytes count once they are synced, so their appends tell nothing.
   * @param untilMs when to give up, in milliseconds of `performance.now()`.
   */
  static begin(
    connection: ConnectionContext,
    watched: readonly Watched[],
    missingBytes: number,
    visibility: Visibility,
    untilMs: number,
  ): FetchWait | undefined {
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0 || connection.closing) return undefined;
    return new FetchWait(connection, watched, missingBytes, visibility, leftMs);
  }

  private constructor(
    private readonly connection: ConnectionContext,
    private readonly watched: readonly Watched[],
    private readonly missingBytes: number,
    private readonly visibility: Visibility,
    waitMs: number,
  ) {
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#sizesBytes = watched.map(({ partition }) => partition.sizeBytes);
    this.#timer = setTimeout(() => {
      this.#end('over');
    }, waitMs);
    this.#seat = connection.waits.add(this);
    for (const { partition } of watched) this.#stops.push(partition.onVisible(this.#onVisible));
    // What became visible between the look and the subscription called nobody.
    const moved = watched.some((seen) => seen.partition.highWatermark !== seen.highWatermark);
    if (moved) this.#end('again');
  }

  cancel(): void {
    this.#end('cancelled');
  }

  hurry(): void {
    this.#end('over');
  }

  readonly #onVisible = (): void => {
    if (this.#hasEnough()) this.#end('again');
  };

  /**
   * Whether as much as is missing has come since. Sizes are an estimate (retention takes bytes away
   * meanwhile); when it is too low the timer ends the wait. A call although nothing moved says that
   * a partition went away.
   *
   * With `visibility: durable` there is no such estimate: what was appended before this wait and is
   * synced during it adds nothing to the size. So each move is worth a look, and each append is not.
   */
  #hasEnough(): boolean {
    if (this.visibility === 'durable') {
      return this.watched.some(
        ({ partition, highWatermark }) =>
          partition.highWatermark !== highWatermark || partition.state !== 'online',
      );
    }
    if (this.missingBytes <= 1) return true;
    let gainedBytes = 0;
    let moved = false;
    for (const [index, { partition, highWatermark }] of this.watched.entries()) {
      moved ||= partition.highWatermark !== highWatermark;
      gainedBytes += Math.max(0, partition.sizeBytes - (this.#sizesBytes[index] ?? 0));
    }
    return !moved || gainedBytes >= this.missingBytes;
  }

  #end(outcome: WaitOutcome): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.connection.waits.remove(this.#seat);
    for (const stop of this.#stops) stop();
    this.#settle(outcome);
  }
}
