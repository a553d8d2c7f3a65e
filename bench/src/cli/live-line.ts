import cliProgress from 'cli-progress';
import type { LoadLimit } from '../load/spec.js';
import type { Series } from '../load/series.js';
import { formatBytes, formatMicros, significant } from '../util/units.js';

const EVERY_MS = 1_000;

/** The line that tells each second how a phase goes: on stderr, a bar on a terminal. */
export class LiveLine {
  readonly #bar: cliProgress.SingleBar;
  #series: Series | undefined;
  #started = false;
  readonly #timer: NodeJS.Timeout;

  /** @param label what runs: `produce`, `mmap+sendfile round 2: consume`. */
  constructor(
    label: string,
    private readonly limit: LoadLimit,
  ) {
    this.#bar = new cliProgress.SingleBar({
      format: `${label} [{bar}] {percentage}% | {news}`,
      barsize: 20,
      stream: process.stderr,
      noTTYOutput: true,
      notTTYSchedule: EVERY_MS,
      fps: 4,
      hideCursor: true,
      emptyOnZero: true,
    });
    this.#timer = setInterval(() => {
      this.#show();
    }, EVERY_MS);
  }

  readonly update = (series: Series): void => {
    this.#series = series;
  };

  end(): void {
    clearInterval(this.#timer);
    this.#show();
    if (this.#started) this.#bar.stop();
  }

  #show(): void {
    const series = this.#series;
    if (series === undefined) return;
    if (!this.#started) this.#bar.start(100, 0, { news: 'starting' });
    this.#started = true;
    this.#bar.update(Math.floor(100 * this.#share(series)), { news: newsOf(series) });
  }

  #share(series: Series): number {
    const { limit } = this;
    const { consumedBytes, consumedMessages, producedBytes, producedMessages } = series.totals;
    const share =
      'durationMs' in limit
        ? (series.seconds * 1_000) / limit.durationMs
        : 'messages' in limit
          ? Math.max(producedMessages, consumedMessages) / limit.messages
          : Math.max(producedBytes, consumedBytes) / limit.bytes;
    return Math.min(1, share);
  }
}

function newsOf(series: Series): string {
  const point = series.recent();
  if (point === undefined) return 'starting';
  const parts: string[] = [];
  const flow = (name: string, messages: number, bytes: number): void => {
    if (messages > 0) parts.push(`${name} ${significant(messages)} msg/s ${formatBytes(bytes)}/s`);
  };
  flow('in', point.producedPerSecond, point.producedBytesPerSecond);
  flow('out', point.consumedPerSecond, point.consumedBytesPerSecond);
  if (point.p99Us > 0) parts.push(`p99 ${formatMicros(point.p99Us)}`);
  return parts.join(' | ');
}
