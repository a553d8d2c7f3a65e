import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { OpenDirectory, syncDirectory } from '../atomic-file.js';
import { errnoOf, SegmentGoneError } from '../errors.js';
import type { LogEnvironment } from '../log-environment.js';
import { unlinkIfThere } from '../log-files.js';
import { logFileName } from '../segment-name.js';
import { Segment } from '../segment.js';
import type { CompactableLog } from './compactable-log.js';
import type { CleanedGroup, CompactionResult } from './job.js';
import { listSegments } from './listed-segments.js';
import {
  afterSwap,
  cleanedFileName,
  cleanedIndexName,
  readManifest,
  removeCleaned,
  withoutPending,
  writeManifest,
} from './manifest.js';
import type { CompactionManifest, PendingSwap } from './manifest.js';
import { withPass } from './tombstones.js';

/** What is durable once each of these was reached, in this order. */
export type SwapStep =
  'cleaned' | 'pending' | 'index-removed' | 'renamed' | 'inputs-removed' | 'settled';

/** For tests that stop in between. */
export type OnSwapStep = (step: SwapStep) => void | Promise<void>;

/**
 * Puts cleaned files in the place of the segments they were made of, so that a crash at any point
 * leaves the old segments or the new one (`recoverCompaction` ends what it interrupted):
 *
 * 1. the cleaned file is complete and synced beside them;
 * 2. the manifest says which swap is pending;
 * 3. the old index goes, for it does not fit the new file;
 * 4. the cleaned file is renamed: from here on the new segment is the log;
 * 5. the other old segments go;
 * 6. the manifest says that nothing is pending.
 *
 * Each is durable before the next begins.
 */
export class SegmentSwapper {
  /** What has to be done before anything else may: a swap was interrupted by an error. */
  #unfinished: (() => Promise<CompactionManifest>) | undefined;

  private constructor(
    private readonly log: CompactableLog,
    private readonly environment: LogEnvironment,
    private readonly onStep: OnSwapStep,
    private current: CompactionManifest,
  ) {}

  /** @throws DataDirError `damaged`, or an errno error */
  static async load(
    log: CompactableLog,
    environment: LogEnvironment,
    onStep: OnSwapStep = () => undefined,
  ): Promise<SegmentSwapper> {
    const manifest = await readManifest(log.directory);
    return new SegmentSwapper(log, environment, onStep, manifest);
  }

  get manifest(): CompactionManifest {
    return this.current;
  }

  /** Ends what was interrupted, and removes files that take nobody's place. */
  async settle(): Promise<void> {
    if (this.#unfinished !== undefined) this.current = await this.#unfinished();
    this.#unfinished = undefined;
    await removeCleaned(this.log.directory);
  }

  /** @throws SegmentGoneError when retention took a segment away; and what the disk says. */
  async swapIn(group: CleanedGroup): Promise<void> {
    const { log } = this;
    const { base, end } = group;
    const inputs = log
      .sealedSegments()
      .filter(({ baseOffset }) => baseOffset >= base && baseOffset < end);
    const first = inputs[0];
    if (first?.baseOffset !== base || inputs.length !== group.segments) {
      throw new SegmentGoneError(join(log.directory, logFileName(base)));
    }
    const pending: PendingSwap = { base, end, bytes: group.bytesAfter };
    const before = this.current;
    const segments = listSegments(log, Math.max(before.cleanedTo, end), before.segments);
    const swapping = { ...before, segments, pending };
    await this.onStep('cleaned');
    // Held from before anything is changed: a shortage of descriptors must not end it half way.
    const directory = new OpenDirectory(log.directory);
    try {
      await log.replaceSegments(inputs, async (begin, commit) => {
        // From the first attempt to write it on: a write that failed may have got to the disk.
        this.#unfinished = () => this.#withdraw(before);
        await writeManifest(log.directory, swapping);
        await this.onStep('pending');
        await begin(
          inputs.map(({ baseOffset, sizeBytes }) => this.#segment(baseOffset, sizeBytes)),
        );
        await this.#removeIndex(first, directory);
        // An error from here on takes the log offline: who knows which name is durable.
        this.#unfinished = () => this.#leaveToRestart();
        commit();
        await this.#rename(first, group, directory);
        return this.#segment(base, group.bytesAfter);
      });
    } finally {
      directory.close();
    }
    this.#unfinished = () => this.#complete(swapping, pending, inputs);
    this.current = await this.#unfinished();
    this.#unfinished = undefined;
    await this.onStep('settled');
  }

  /** Notes that a pass has ended. */
  async endPass(result: CompactionResult, nowMs: number): Promise<void> {
    const { dirtyFrom, firstTombstone } = result;
    const { deleteRetentionMs } = this.log.options;
    const passes = withPass(this.current.passes, dirtyFrom, nowMs, deleteRetentionMs);
    const manifest = { ...this.current, dirtyFrom, firstTombstone, passes };
    await writeManifest(this.log.directory, manifest);
    this.current = manifest;
  }

  /** The swap was not begun: the old segments stay, and the manifest forgets it. */
  async #withdraw(before: CompactionManifest): Promise<CompactionManifest> {
    const manifest = withoutPending(before);
    await writeManifest(this.log.directory, manifest);
    return manifest;
  }

  /** The next start finds out whether the rename was made. Nothing may change until then. */
  #leaveToRestart(): Promise<CompactionManifest> {
    return Promise.reject(
      new Error(`${this.log.directory}: a swap of segments is ended by the next start`),
    );
  }

  /** If the old segments stay after all, their index is rebuilt. */
  async #removeIndex({ indexPath }: Segment, directory: OpenDirectory): Promise<void> {
    await unlinkIfThere(indexPath);
    await directory.sync();
    await this.onStep('index-removed');
  }

  async #rename(first: Segment, { base }: CleanedGroup, directory: OpenDirectory): Promise<void> {
    const { directory: path } = this.log;
    const replaced = this.environment.removals.hold(first.logPath);
    try {
      await rename(join(path, cleanedFileName(base)), first.logPath);
    } catch (error) {
      replaced?.keep();
      throw error;
    }
    replaced?.release();
    // Without it the index is rebuilt.
    await rename(join(path, cleanedIndexName(base)), first.indexPath).catch(ignoreMissing);
    await directory.sync();
    await this.onStep('renamed');
  }

  #segment(baseOffset: number, sizeBytes: number): Segment {
    const { directory, options } = this.log;
    const { indexIntervalBytes } = options;
    return new Segment(directory, baseOffset, sizeBytes, this.environment, indexIntervalBytes);
  }

  async #complete(
    swapping: CompactionManifest,
    pending: PendingSwap,
    inputs: readonly Segment[],
  ): Promise<CompactionManifest> {
    const { directory } = this.log;
    const others = inputs.filter(({ baseOffset }) => baseOffset !== pending.base);
    for (const { indexPath, logPath } of others) {
      await unlinkIfThere(indexPath);
      await this.environment.removals.remove(logPath);
    }
    await syncDirectory(directory);
    await this.onStep('inputs-removed');
    const manifest = afterSwap(swapping, pending);
    await writeManifest(directory, manifest);
    return manifest;
  }
}

function ignoreMissing(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error;
}
