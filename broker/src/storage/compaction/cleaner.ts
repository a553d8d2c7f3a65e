import { SegmentGoneError } from '../errors.js';
import type { LogEnvironment } from '../log-environment.js';
import type { Segment } from '../segment.js';
import { nextTurn } from '../warm-up.js';
import { assess, isCompacted } from './candidate.js';
import type { Candidate } from './candidate.js';
import type { CompactableLog } from './compactable-log.js';
import type { CompactionJob, CompactionResult } from './job.js';
import type { CompactionRunner } from './runner.js';
import { SegmentSwapper } from './swap.js';
import type { OnSwapStep } from './swap.js';
import { createRunner } from './thread-runner.js';

/** After failures a log is left alone for the cleaner's interval, doubled each time, up to this. */
const MAX_BACKOFF_MS = 3_600_000;
/** How long logs are looked at before others get their turn. */
const TURN_MS = 5;

export interface CleanerOptions {
  /** Default: a worker thread. */
  readonly runner?: CompactionRunner;
  readonly onStep?: OnSwapStep;
}

/** What the cleaner remembers of a log while the log is open. */
interface Known {
  readonly swapper: SegmentSwapper;
  failures: number;
  notBeforeMs: number;
  /** It was said that there are batches that cannot be read. */
  unreadableReported: boolean;
}

/** A log and what there is to do. */
interface Task {
  readonly log: CompactableLog;
  readonly known: Known;
  readonly candidate: Candidate;
}

/** Compacts the logs of one broker, one at a time, the dirtiest first. It never throws for one of them. */
export class Cleaner {
  readonly #runner: CompactionRunner;
  readonly #onStep: OnSwapStep | undefined;
  readonly #known = new WeakMap<CompactableLog, Known>();
  readonly #closing = new AbortController();
  #round: Promise<void> | undefined;
  #current: { readonly log: CompactableLog; readonly abort: AbortController } | undefined;

  constructor(
    /** The logs that are open, of whatever policy. */
    private readonly logs: () => Iterable<CompactableLog>,
    private readonly environment: LogEnvironment,
    options: CleanerOptions = {},
  ) {
    this.#runner = options.runner ?? createRunner();
    this.#onStep = options.onStep;
  }

  /**
   * Compacts every log that it is due for, once; resolves when there is none left. While that is under
   * way, a call only looks whether the log at hand is still there.
   */
  async tick(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const { log, abort } = this.#current ?? {};
    if (log !== undefined && !isOpen(log)) abort?.abort(new SegmentGoneError(log.directory));
    this.#round ??= this.#cleanAll().finally(() => (this.#round = undefined));
    await this.#round;
  }

  /** Stops a pass that is under way: what it has not swapped in stays as it was. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the broker is stopping'));
    this.#current?.abort.abort(this.#closing.signal.reason);
    await this.#round;
    await this.#runner.close();
  }

  async #cleanAll(): Promise<void> {
    const tasks = await this.#tasks();
    tasks.sort((a, b) => b.candidate.dirtyRatio - a.candidate.dirtyRatio);
    for (const { log, known } of tasks) {
      if (this.#closing.signal.aborted) return;
      if (!isOpen(log)) continue;
      // Passes take long: what there is to do may have changed since.
      const task = await this.#look(log);
      if (task !== undefined) await this.#attempt(log, known, () => this.#clean(task));
    }
  }

  /** What is due in all logs. */
  async #tasks(): Promise<Task[]> {
    const tasks: Task[] = [];
    let turnEndsMs = performance.now() + TURN_MS;
    for (const log of this.logs()) {
      if (this.#closing.signal.aborted) return [];
      const task = await this.#look(log);
      if (task !== undefined) tasks.push(task);
      if (performance.now() < turnEndsMs) continue;
      await nextTurn();
      turnEndsMs = performance.now() + TURN_MS;
    }
    return tasks;
  }

  async #look(log: CompactableLog): Promise<Task | undefined> {
    const nowMs = this.environment.now();
    if (!isCompacted(log) || (this.#known.get(log)?.notBeforeMs ?? 0) > nowMs) return undefined;
    let task: Task | undefined;
    await this.#attempt(log, this.#known.get(log), async () => {
      const known = this.#known.get(log) ?? (await this.#open(log));
      const candidate = await assess(log, known.swapper.manifest, nowMs);
      if (candidate !== undefined) task = { log, known, candidate };
    });
    return task;
  }

  async #open(log: CompactableLog): Promise<Known> {
    const swapper = await SegmentSwapper.load(log, this.environment, this.#onStep);
    const known = { swapper, failures: 0, notBeforeMs: 0, unreadableReported: false };
    this.#known.set(log, known);
    return known;
  }

  async #clean({ log, known, candidate }: Task): Promise<void> {
    const { swapper } = known;
    const beganMs = this.environment.now();
    const abort = new AbortController();
    if (this.#closing.signal.aborted) return;
    this.#current = { log, abort };
    try {
      await swapper.settle();
      const result = await this.#runner.run(this.#job(log, candidate, swapper), {
        onGroup: (group) => swapper.swapIn(group),
        signal: abort.signal,
      });
      const nowMs = this.environment.now();
      await swapper.endPass(result, nowMs);
      known.failures = 0;
      this.environment.counters?.compacted(result, nowMs - beganMs);
      this.#report(log, known, result, nowMs - beganMs);
    } catch (error) {
      await swapper.settle().catch(() => undefined); // or before the next attempt
      // Whatever the job stumbled on then, as a file that is not there.
      if (wereRemoved(log, candidate.inputs)) throw new SegmentGoneError(log.directory);
      throw error;
    } finally {
      this.#current = undefined;
    }
  }

  #job(log: CompactableLog, candidate: Candidate, swapper: SegmentSwapper): CompactionJob {
    const { cleanerMemoryBytes, cleanerBytesPerSecond } = this.environment.config;
    const { segmentBytes, indexIntervalBytes } = log.options;
    const remembered = log.producers.remembered();
    return {
      directory: log.directory,
      inputs: candidate.inputs.map(({ logPath, baseOffset, sizeBytes }) => ({
        ...{ path: logPath, baseOffset, sizeBytes },
      })),
      end: candidate.end,
      startOffset: log.startOffset,
      dirtyFrom: swapper.manifest.dirtyFrom,
      tombstonesGoBefore: candidate.tombstonesGoBefore,
      segmentBytes,
      indexIntervalBytes,
      mapBytes: cleanerMemoryBytes,
      bytesPerSecond: cleanerBytesPerSecond,
      producers: remembered.producers,
      rememberedBatches: remembered.baseOffsets,
    };
  }

  #report(log: CompactableLog, known: Known, result: CompactionResult, ms: number): void {
    const { logger } = this.environment;
    logger.info({ log: log.name, ...result, ms }, 'compacted a log');
    const { unreadableBatches, firstUnreadable } = result;
    if (unreadableBatches === 0 || known.unreadableReported) return;
    known.unreadableReported = true;
    logger.warn(
      { log: log.name, unreadableBatches, firstUnreadable },
      'batches whose records cannot be read stay as they are in a compacted log',
    );
  }

  /** A log that cannot be compacted is tried again later, and holds up no other. */
  async #attempt(
    log: CompactableLog,
    known: Known | undefined,
    work: () => Promise<void>,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      // Retention or a deletion took segments away, or the broker stops: there will be another time.
      if (error instanceof SegmentGoneError || this.#closing.signal.aborted) return;
      if (!isOpen(log)) return;
      const { counters } = this.environment;
      if (counters !== undefined) counters.compactionFailures += 1;
      const failures = (known?.failures ?? 0) + 1;
      const { cleanerIntervalMs } = this.environment.config;
      const backoffMs = Math.min(MAX_BACKOFF_MS, cleanerIntervalMs * 2 ** failures);
      if (known !== undefined) {
        known.failures = failures;
        known.notBeforeMs = this.environment.now() + backoffMs;
      }
      this.environment.logger.warn(
        { err: error, log: log.name, failures, nextAttemptInMs: backoffMs },
        'a log could not be compacted and stays as it is',
      );
    }
  }
}

function isOpen(log: CompactableLog): boolean {
  return !log.closed && log.failure === undefined;
}

/** True when the first of `inputs` is not in the log any more: retention takes the oldest away first. */
function wereRemoved(log: CompactableLog, [oldest]: readonly Segment[]): boolean {
  const first = log.sealedSegments()[0]?.baseOffset ?? Infinity;
  return oldest !== undefined && first > oldest.baseOffset;
}
