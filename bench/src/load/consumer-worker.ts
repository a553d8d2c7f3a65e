import type { ConsumerSink, DriverConnection, DriverConsumer } from '../drivers/driver.js';
import { monotonicMs } from '../util/clock.js';
import { stampOf } from './payload.js';
import type { Stamp } from './payload.js';
import { PhaseCounts } from './phase-counts.js';
import type { PhaseReport, Tick } from './phase-counts.js';
import type { LoadSpec } from './spec.js';

/** One consumer: reads its share of the partitions, and counts while a phase runs. */
export class ConsumerWorker implements ConsumerSink {
  readonly #stamp: Stamp;
  readonly #stamped: boolean;
  #counts: PhaseCounts | undefined;
  #open: (() => void) | undefined;
  #phaseDone: ((report: PhaseReport) => void) | undefined;
  /** When the last batch came: waiting for more that does not come is no part of a phase. */
  #lastMs = 0;
  /** Something is made of every value, so that none is left unread. */
  #touched = 0;

  private constructor(
    spec: LoadSpec,
    private readonly consumer: DriverConsumer,
    onEnd: (error: unknown) => void,
  ) {
    this.#stamp = stampOf(spec.payload.kind);
    this.#stamped = spec.stamped;
    consumer.run(this).then(() => {
      this.stop();
    }, onEnd);
  }

  /**
   * @param partitions how many the topic has; consumer `index` takes every `spec.consumers`-th.
   * @param onEnd told when reading failed.
   */
  static async open(
    spec: LoadSpec,
    index: number,
    partitions: number,
    connection: DriverConnection,
    onEnd: (error: unknown) => void,
  ): Promise<ConsumerWorker> {
    const all = Array.from({ length: partitions }, (_, partition) => partition);
    const own = all.filter((partition) => partition % spec.consumers === index);
    return new ConsumerWorker(spec, await connection.consumer(spec, own), onEnd);
  }

  gate(): Promise<void> | undefined {
    if (this.#counts !== undefined) return undefined;
    return new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  message(value: Buffer): void {
    const counts = this.#counts;
    if (counts === undefined) return;
    counts.messages += 1;
    counts.bytes += value.length;
    if (value.length > 0) this.#touched += (value[0] ?? 0) + (value[value.length - 1] ?? 0);
    if (!this.#stamped) return;
    const sentMs = this.#stamp.read(value);
    if (!Number.isNaN(sentMs)) counts.latency(counts.endToEnd, monotonicMs() - sentMs);
  }

  batchDone(): void {
    this.#lastMs = monotonicMs();
  }

  /** Reads and counts until {@link stop}, or to the end of what is to be read. */
  run(): Promise<PhaseReport> {
    this.#counts = new PhaseCounts();
    this.#open?.();
    return new Promise((resolve) => {
      this.#phaseDone = resolve;
    });
  }

  stop(): void {
    const counts = this.#counts;
    if (counts === undefined || this.#phaseDone === undefined) return;
    this.#counts = undefined;
    if (Number.isNaN(this.#touched)) counts.failed(new Error('values could not be read'));
    this.#phaseDone(counts.report(Math.max(this.#lastMs, counts.startMs)));
  }

  tick(): Tick {
    return this.#counts?.tick() ?? { messages: 0, bytes: 0, p50Us: 0, p99Us: 0 };
  }

  close(): Promise<void> {
    this.#open?.();
    return this.consumer.stop();
  }
}
