import type { SeriesPoint } from '../results/schema.js';
import { TICK_MS } from './phase-counts.js';
import type { Tick } from './phase-counts.js';

const PART_MS = TICK_MS;
/** A chart shows no more; longer runs get wider parts. */
const MAX_POINTS = 240;

interface Part {
  producedMessages: number;
  producedBytes: number;
  consumedMessages: number;
  consumedBytes: number;
  p99Us: number;
}

/** Sums of a phase so far. */
export interface Totals {
  readonly producedMessages: number;
  readonly producedBytes: number;
  readonly consumedMessages: number;
  readonly consumedBytes: number;
}

/** Gathers what workers say while a phase runs. */
export class Series {
  readonly #startedMs = performance.now();
  readonly #parts: Part[] = [];
  readonly #totals = { ...emptyPart };

  get totals(): Totals {
    return this.#totals;
  }

  get seconds(): number {
    return (performance.now() - this.#startedMs) / 1_000;
  }

  /** @param showLatency whether this role's latency is the one that is shown. */
  add(role: 'producer' | 'consumer', tick: Tick, showLatency: boolean): void {
    const index = Math.floor((performance.now() - this.#startedMs) / PART_MS);
    for (let i = this.#parts.length; i <= index; i += 1) this.#parts.push({ ...emptyPart });
    for (const sum of [this.#parts[index], this.#totals]) {
      if (sum === undefined) continue;
      if (role === 'producer') {
        sum.producedMessages += tick.messages;
        sum.producedBytes += tick.bytes;
      } else {
        sum.consumedMessages += tick.messages;
        sum.consumedBytes += tick.bytes;
      }
      if (showLatency) sum.p99Us = Math.max(sum.p99Us, tick.p99Us);
    }
  }

  /** The last second or so, for the live line. */
  recent(): SeriesPoint | undefined {
    return this.#points(1_000 / PART_MS).at(-1);
  }

  /** Two parts and more each: a worker's tick that comes a little late is in the next part. */
  points(): readonly SeriesPoint[] {
    const perPoint = Math.ceil(this.#parts.length / MAX_POINTS);
    return this.#points(Math.max(perPoint, 2));
  }

  #points(perPoint: number): SeriesPoint[] {
    const points: SeriesPoint[] = [];
    // The last part may be a stub, and would look like a dip.
    const whole = this.#parts.length > perPoint ? this.#parts.length - 1 : this.#parts.length;
    for (let end = perPoint; end <= whole; end += perPoint) {
      const parts = this.#parts.slice(end - perPoint, end);
      const seconds = (perPoint * PART_MS) / 1_000;
      const rate = (pick: (part: Part) => number): number =>
        parts.reduce((sum, part) => sum + pick(part), 0) / seconds;
      points.push({
        atS: (end * PART_MS) / 1_000,
        producedPerSecond: rate((part) => part.producedMessages),
        consumedPerSecond: rate((part) => part.consumedMessages),
        producedBytesPerSecond: rate((part) => part.producedBytes),
        consumedBytesPerSecond: rate((part) => part.consumedBytes),
        p99Us: Math.max(...parts.map((part) => part.p99Us)),
      });
    }
    return points;
  }
}

const emptyPart: Readonly<Part> = {
  producedMessages: 0,
  producedBytes: 0,
  consumedMessages: 0,
  consumedBytes: 0,
  p99Us: 0,
};
