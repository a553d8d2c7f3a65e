import { monotonicMs } from '../util/clock.js';
import { LatencyRecorder } from './latency.js';

/** How often workers tell what they did: so that a load of half a second is more than a point in its chart. */
export const TICK_MS = 100;

/** What one worker did since the last tick. */
export interface Tick {
  readonly messages: number;
  readonly bytes: number;
  /** Of the latencies since the last tick: publish latency of a producer, end-to-end of a consumer. */
  readonly p50Us: number;
  readonly p99Us: number;
}

/** What one worker did in a phase. Times are those of the machine's monotonic clock. */
export interface PhaseReport {
  readonly startMs: number;
  readonly endMs: number;
  readonly messages: number;
  readonly bytes: number;
  readonly errors: number;
  /** What the first error said. */
  readonly firstError: string | undefined;
  /** Histograms in their encoded form. */
  readonly latencies: {
    readonly publish?: string;
    readonly publishDelay?: string;
    readonly endToEnd?: string;
  };
  /** Share of the time in which the worker's event loop was busy, 0 to 1. */
  readonly busy: number;
  readonly cpuSeconds: number;
}

/** Counts what a worker does in a phase. */
export class PhaseCounts {
  readonly startMs = monotonicMs();
  messages = 0;
  bytes = 0;
  errors = 0;
  firstError: string | undefined;
  readonly publish = new LatencyRecorder();
  readonly publishDelay = new LatencyRecorder();
  readonly endToEnd = new LatencyRecorder();
  readonly #recent = new LatencyRecorder(2);
  readonly #cpuAtStart = process.cpuUsage();
  readonly #loopAtStart = performance.eventLoopUtilization();
  #tickedMessages = 0;
  #tickedBytes = 0;

  failed(error: unknown): void {
    this.errors += 1;
    this.firstError ??= error instanceof Error ? error.message : String(error);
  }

  /** A latency that the live line shows, in its histogram. */
  latency(histogram: LatencyRecorder, ms: number): void {
    histogram.recordMs(ms);
    this.#recent.recordMs(ms);
  }

  tick(): Tick {
    const tick = {
      messages: this.messages - this.#tickedMessages,
      bytes: this.bytes - this.#tickedBytes,
      p50Us: this.#recent.percentileUs(50),
      p99Us: this.#recent.percentileUs(99),
    };
    this.#tickedMessages = this.messages;
    this.#tickedBytes = this.bytes;
    this.#recent.reset();
    return tick;
  }

  /** @param endMs when it ended, where that is not now. */
  report(endMs = monotonicMs()): PhaseReport {
    const { user, system } = process.cpuUsage(this.#cpuAtStart);
    const { publish, publishDelay, endToEnd } = this;
    return {
      startMs: this.startMs,
      endMs,
      messages: this.messages,
      bytes: this.bytes,
      errors: this.errors,
      firstError: this.firstError,
      latencies: {
        ...(publish.count > 0 && { publish: publish.encode() }),
        ...(publishDelay.count > 0 && { publishDelay: publishDelay.encode() }),
        ...(endToEnd.count > 0 && { endToEnd: endToEnd.encode() }),
      },
      busy: performance.eventLoopUtilization(this.#loopAtStart).utilization,
      cpuSeconds: (user + system) / 1e6,
    };
  }
}
