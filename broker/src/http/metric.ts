import type { Metric } from 'prom-client';

/** One line of a scrape. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Default: the metric's own name. */
  readonly metricName?: string;
}

export type MetricType = 'counter' | 'gauge' | 'histogram';
export type Collect = () => readonly Sample[];

/** Adds a metric; its name gets the prefix `millrace_`. */
export type Define = (type: MetricType, name: string, help: string, collect: Collect) => void;

/**
 * A metric whose samples are made when scraped. prom-client's own classes count by themselves, a hash
 * of the labels each time; its registry asks a metric for nothing but `get`.
 */
export function collectedMetric(
  name: string,
  type: MetricType,
  help: string,
  collect: Collect,
): Metric {
  const get = (): Promise<unknown> =>
    Promise.resolve({
      ...{ name, help, type, aggregator: 'sum' },
      values: collect().map(({ labels = {}, value, metricName = name }) => ({
        ...{ labels, value, metricName },
      })),
    });
  return { name, help, type, get, reset: () => undefined } as unknown as Metric;
}

export const one = (value: number): readonly Sample[] => [{ value }];

/**
 * Keeps a metric with a series for each topic, partition or group from growing with their number: it
 * has the first of them, and how many were left out is a metric too.
 */
export class SeriesBound {
  readonly #omitted = new Map<string, number>();

  constructor(private readonly maxSeries: number) {}

  /**
   * @param count how many series there would be.
   * @param samples makes them one by one.
   */
  take(metric: string, count: number, samples: Iterable<Sample>): readonly Sample[] {
    const taken: Sample[] = [];
    for (const sample of samples) {
      if (taken.length >= this.maxSeries) break;
      taken.push(sample);
    }
    this.omit(metric, count - taken.length);
    return taken;
  }

  /** Whether so many series may be told one by one. */
  allows(count: number): boolean {
    return count <= this.maxSeries;
  }

  omit(metric: string, count: number): void {
    this.#omitted.set(metric, Math.max(0, count));
  }

  /** To be defined last: it tells of those before. */
  define(define: Define): void {
    const help = 'Series left out by metric, because there are more than maxMetricSeries.';
    define('gauge', 'series_omitted', help, () =>
      [...this.#omitted].map(([metric, value]) => ({ labels: { metric }, value })),
    );
  }
}
