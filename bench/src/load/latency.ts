import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import type { Histogram } from 'hdr-histogram-js';

/** Latencies are kept in whole microseconds, up to two minutes; what takes longer counts as that. */
const HIGHEST_MICROS = 120_000_000;
const DIGITS = 3;

/** What of a histogram is told in tables. Microseconds. */
export interface LatencySummary {
  readonly count: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly p9999Us: number;
  readonly maxUs: number;
  /** All of it: an HdrHistogram in its compressed base64 form, which other tools read too. */
  readonly hdr: string;
}

export class LatencyRecorder {
  readonly #histogram: Histogram;

  /** @param digits how many significant ones are kept: 2 where it is only shown. */
  constructor(digits: 2 | 3 = DIGITS) {
    this.#histogram = build({
      bitBucketSize: 32,
      lowestDiscernibleValue: 1,
      highestTrackableValue: HIGHEST_MICROS,
      numberOfSignificantValueDigits: digits,
    });
  }

  recordMs(ms: number): void {
    const micros = Math.round(ms * 1_000);
    this.#histogram.recordValue(Math.min(Math.max(micros, 0), HIGHEST_MICROS));
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  percentileUs(percentile: number): number {
    return this.count === 0 ? 0 : this.#histogram.getValueAtPercentile(percentile);
  }

  reset(): void {
    this.#histogram.reset();
  }

  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }
}

/** The sum of encoded histograms; undefined when none of them has recorded anything. */
export function mergeLatencies(encoded: readonly string[]): LatencySummary | undefined {
  const [first, ...others] = encoded.map((text) => decodeFromCompressedBase64(text, 32, false));
  if (first === undefined) return undefined;
  for (const other of others) first.add(other);
  if (first.totalCount === 0) return undefined;
  return {
    count: first.totalCount,
    meanUs: first.mean,
    p50Us: first.getValueAtPercentile(50),
    p90Us: first.getValueAtPercentile(90),
    p99Us: first.getValueAtPercentile(99),
    p999Us: first.getValueAtPercentile(99.9),
    p9999Us: first.getValueAtPercentile(99.99),
    maxUs: first.maxValue,
    hdr: encodeIntoCompressedBase64(first),
  };
}

/** Points of the curve of latency by percentile, from the median up, for a chart. */
export function percentileCurve(
  hdr: string,
): readonly (readonly [percentile: number, us: number])[] {
  const histogram = decodeFromCompressedBase64(hdr, 32, false);
  const points: [number, number][] = [];
  // Beyond what the count tells apart there is nothing but the maximum.
  const mostNines = Math.min(5, Math.log10(Math.max(histogram.totalCount, 10)));
  for (let nines = 0; nines <= mostNines; nines += 0.125) {
    const percentile = 100 * (1 - 0.5 * 10 ** -nines);
    points.push([percentile, histogram.getValueAtPercentile(percentile)]);
  }
  return points;
}
