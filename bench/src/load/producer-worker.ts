import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { DriverConnection, DriverProducer } from '../drivers/driver.js';
import { monotonicMs } from '../util/clock.js';
import { makePayloads, stampOf } from './payload.js';
import type { Stamp } from './payload.js';
import { PhaseCounts } from './phase-counts.js';
import type { PhaseReport, Tick } from './phase-counts.js';
import { isOpenLoop } from './spec.js';
import type { LoadLimit, LoadSpec } from './spec.js';

/** With `enqueue`, one message in so many is awaited, for the latency. */
const SAMPLED = 1_024;
/** How often a busy loop looks at the clock, in messages, and gives others their turn, in ms. */
const CLOCK_EVERY = 64;
const TURN_EVERY_MS = 10;

/** One producer: sends the load's messages in phases. */
export class ProducerWorker {
  readonly #payloads: readonly Buffer[];
  readonly #keys: readonly string[];
  readonly #stamp: Stamp;
  #counts = new PhaseCounts();
  #next: number;
  #stopped = false;

  private constructor(
    private readonly spec: LoadSpec,
    private readonly index: number,
    private readonly producer: DriverProducer,
  ) {
    this.#payloads = makePayloads(spec.payload);
    this.#keys = Array.from({ length: spec.keys }, (_, key) => `key-${key}`);
    this.#stamp = stampOf(spec.payload.kind);
    this.#next = index;
  }

  static async open(
    spec: LoadSpec,
    index: number,
    connection: DriverConnection,
  ): Promise<ProducerWorker> {
    return new ProducerWorker(spec, index, await connection.producer(spec));
  }

  /** Sends until the limit is reached or {@link stop} is called, and until all is acknowledged. */
  async run(limit: LoadLimit): Promise<PhaseReport> {
    const counts = new PhaseCounts();
    this.#counts = counts;
    this.#stopped = false;
    const until = new Limit(limit, this.spec.producers, counts.startMs);
    if (isOpenLoop(this.spec)) await this.#openLoop(counts, until);
    else if (this.spec.api === 'enqueue') await this.#enqueueLoop(counts, until);
    else await this.#sendLoop(counts, until);
    await this.producer.flush().catch((error: unknown) => {
      counts.failed(error);
    });
    return counts.report();
  }

  stop(): void {
    this.#stopped = true;
  }

  tick(): Tick {
    return this.#counts.tick();
  }

  close(): Promise<void> {
    return this.producer.close();
  }

  /**
   * Each message has its time, whatever became of those before it: a broker that stalls makes all
   * late that were to be sent meanwhile, and they are counted from when they were to be sent.
   */
  async #openLoop(counts: PhaseCounts, until: Limit): Promise<void> {
    const { ratePerSecond, producers, pacing } = this.spec;
    const stepMs = (1_000 * producers) / ratePerSecond;
    const firstMs = counts.startMs + (stepMs * this.index) / producers;
    const pending = new Pending();
    for (let sent = 0; ;) {
      const nowMs = monotonicMs();
      let intendedMs = firstMs + sent * stepMs;
      // What is late is still sent: leaving it out would leave out the worst.
      if (this.#stopped || until.reached(intendedMs) || until.isOverdue(nowMs)) break;
      for (let burst = 0; intendedMs <= nowMs && burst < CLOCK_EVERY; burst += 1) {
        if (until.reached(intendedMs)) break;
        until.take(this.#sendOne(counts, intendedMs, pending));
        sent += 1;
        intendedMs = firstMs + sent * stepMs;
      }
      const waitMs = intendedMs - monotonicMs();
      if (pacing === 'timer' ? waitMs > 0 : waitMs > 2) await sleep(Math.max(1, waitMs - 1));
      else await turn();
    }
    await pending.none();
  }

  async #sendLoop(counts: PhaseCounts, until: Limit): Promise<void> {
    const pending = new Pending();
    let turnedMs = counts.startMs;
    for (;;) {
      const nowMs = monotonicMs();
      if (this.#stopped || until.reached(nowMs)) break;
      if (pending.count >= this.spec.inFlight) await pending.fewer();
      until.take(this.#sendOne(counts, monotonicMs(), pending));
      if (nowMs - turnedMs > TURN_EVERY_MS) {
        turnedMs = nowMs;
        await turn();
      }
    }
    await pending.none();
  }

  async #enqueueLoop(counts: PhaseCounts, until: Limit): Promise<void> {
    const { producer } = this;
    const { enqueue, ready } = producer;
    if (enqueue === undefined || ready === undefined) return this.#sendLoop(counts, until);
    const pending = new Pending();
    let turnedMs = counts.startMs;
    for (let i = 0; !this.#stopped; i += 1) {
      const nowMs = i % CLOCK_EVERY === 0 ? monotonicMs() : 0;
      if (until.reached(nowMs)) break;
      if (nowMs - turnedMs > TURN_EVERY_MS) {
        turnedMs = nowMs;
        await turn();
      }
      if (i % SAMPLED === 0) {
        until.take(this.#sendOne(counts, monotonicMs(), pending));
        continue;
      }
      const value = this.#message(this.spec.stamped ? monotonicMs() : 0);
      until.take(value.length);
      counts.messages += 1;
      counts.bytes += value.length;
      if (!enqueue(value, this.#key())) await ready();
    }
    await pending.none();
  }

  /** Sends one message, and counts it and its latency once it is acknowledged. Returns its size. */
  #sendOne(counts: PhaseCounts, intendedMs: number, pending: Pending): number {
    const value = this.#message(intendedMs);
    counts.publishDelay.recordMs(monotonicMs() - intendedMs);
    pending.begin();
    this.producer.send(value, this.#key()).then(
      () => {
        counts.latency(counts.publish, monotonicMs() - intendedMs);
        counts.messages += 1;
        counts.bytes += value.length;
        pending.end();
      },
      (error: unknown) => {
        counts.failed(error);
        pending.end();
      },
    );
    return value.length;
  }

  #message(stampMs: number): Buffer {
    const payload = this.#payloads[this.#next % this.#payloads.length] ?? Buffer.alloc(0);
    this.#next += this.spec.producers;
    const value = this.producer.copies ? payload : Buffer.from(payload);
    if (this.spec.stamped) this.#stamp.write(value, stampMs);
    return value;
  }

  #key(): string | null {
    const { length } = this.#keys;
    return length === 0 ? null : (this.#keys[this.#next % length] ?? null);
  }
}

/** When one producer has sent its share of a phase. */
class Limit {
  readonly #endMs: number;
  readonly #overdueMs: number;
  #messages: number;
  #bytes: number;

  constructor(limit: LoadLimit, producers: number, startMs: number) {
    this.#endMs = 'durationMs' in limit ? startMs + limit.durationMs : Infinity;
    this.#overdueMs = 'durationMs' in limit ? startMs + 2 * limit.durationMs : Infinity;
    this.#messages = 'messages' in limit ? Math.ceil(limit.messages / producers) : Infinity;
    this.#bytes = 'bytes' in limit ? limit.bytes / producers : Infinity;
  }

  take(bytes: number): void {
    this.#messages -= 1;
    this.#bytes -= bytes;
  }

  /** A generator that is so far behind does not catch up. */
  isOverdue(nowMs: number): boolean {
    return nowMs >= this.#overdueMs;
  }

  reached(nowMs: number): boolean {
    return nowMs >= this.#endMs || this.#messages <= 0 || this.#bytes <= 0;
  }
}

/** Messages that are not yet acknowledged. */
class Pending {
  count = 0;
  #wake: (() => void) | undefined;

  begin(): void {
    this.count += 1;
  }

  end(): void {
    this.count -= 1;
    this.#wake?.();
    this.#wake = undefined;
  }

  fewer(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async none(): Promise<void> {
    while (this.count > 0) await this.fewer();
  }
}
