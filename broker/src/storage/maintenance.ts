import { SegmentGoneError } from './errors.js';
import type { Log } from './log.js';
import type { LogEnvironment } from './log-environment.js';
import { applyRetention } from './retention.js';
import type { RetainedLog } from './retention.js';
import { nextTurn } from './warm-up.js';

/** How long logs are looked at before others get their turn: a broker may have many thousands. */
const TURN_MS = 5;

/** What compacts the logs. */
export interface LogCleaner {
  /** Compacts what is due; may be called while it does. Never rejects for one log. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

/** What maintenance needs of a log. */
export type MaintainedLog = RetainedLog & Pick<Log, 'name' | 'failure'>;

export interface MaintenanceOptions {
  /** The logs that are open, by the moment. */
  readonly logs: () => Iterable<MaintainedLog>;
  readonly environment: Pick<LogEnvironment, 'config' | 'logger' | 'now'>;
  readonly cleaner?: LogCleaner;
}

/**
 * Keeps the logs of one broker within what is to be kept, in the background: retention, `segment.ms`,
 * and compaction. What fails for one log is reported, and tried again in the next round.
 */
export class Maintenance {
  readonly #timers: NodeJS.Timeout[] = [];
  #round: Promise<void> | undefined;
  #closed = false;

  constructor(private readonly options: MaintenanceOptions) {}

  /** From now on the work is done every `retentionCheckIntervalMs` and `cleanerIntervalMs`. */
  start(): void {
    const { cleaner, environment } = this.options;
    const { retentionCheckIntervalMs, cleanerIntervalMs } = environment.config;
    this.#every(retentionCheckIntervalMs, () => this.checkRetention());
    if (cleaner !== undefined) this.#every(cleanerIntervalMs, () => cleaner.tick());
  }

  /** Looks at every log once. One round at a time: a call during one resolves with it. */
  checkRetention(): Promise<void> {
    this.#round ??= this.#checkAll().finally(() => (this.#round = undefined));
    return this.#round;
  }

  /** Begins nothing any more; resolves when nothing is under way. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    await Promise.all([this.#round, this.options.cleaner?.close()]);
  }

  #every(intervalMs: number, work: () => Promise<void>): void {
    const run = (): void => {
      work().catch((error: unknown) => {
        this.options.environment.logger.error({ err: error }, 'maintenance of the logs failed');
      });
    };
    this.#timers.push(setInterval(run, intervalMs).unref());
  }

  async #checkAll(): Promise<void> {
    let turnEndsMs = performance.now() + TURN_MS;
    for (const log of this.options.logs()) {
      if (this.#closed) return;
      await this.#check(log);
      if (performance.now() < turnEndsMs) continue;
      await nextTurn();
      turnEndsMs = performance.now() + TURN_MS;
    }
  }

  async #check(log: MaintainedLog): Promise<void> {
    const { logger, now } = this.options.environment;
    try {
      await applyRetention(log, now());
    } catch (error) {
      // A log that failed has said so; one whose topic was deleted is nobody's concern.
      if (error instanceof SegmentGoneError || log.failure !== undefined) return;
      logger.warn({ err: error, log: log.name }, 'retention of a log failed; it is tried again');
    }
  }
}
