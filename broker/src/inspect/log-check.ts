import { join } from 'node:path';
import type { Checkpoint } from '../storage/checkpoint.js';
import { lostSegments } from '../storage/compaction/listed-segments.js';
import { errnoOf } from '../storage/errors.js';
import { CHECKPOINT_FILE } from '../storage/log-files.js';
import type { FoundSegment } from '../storage/log-files.js';
import { logFileName } from '../storage/segment-name.js';
import { EpochBounds } from './epoch-bounds.js';
import { FileReader } from './file-reader.js';
import { RESTORE } from './findings.js';
import type { FindingKind, Report } from './findings.js';
import { IndexCheck } from './index-check.js';
import type { PartitionMetadata } from './partition-metadata.js';
import { SegmentCheck } from './segment-check.js';
import type { SegmentExpectation, SegmentTally } from './segment-check.js';

/** What the segments of a log hold together. */
export interface LogTally {
  readonly segments: number;
  /** Data, without room that was allocated ahead of it. */
  readonly bytes: number;
  readonly batches: number;
  readonly records: number;
  /** Where a repair would have to end the log; undefined where it need not. */
  readonly cut?: LogCut | undefined;
  /** The offsets that were lost with the first segments. */
  readonly lostBefore?: { readonly from: number; readonly to: number } | undefined;
  /** The log's last segment, and where its sound data ends. */
  readonly end?: LogCut | undefined;
}

/** A place in a log between two batches. */
export interface LogCut {
  readonly segment: FoundSegment;
  readonly position: number;
  /** The offset after the last batch before it. */
  readonly endOffset: number;
  /** Records before it. */
  readonly records: number;
  readonly problem: string;
}

/** Told of every segment that was looked through. */
export type Progress = (bytes: number) => void;

export interface LogExpectation extends PartitionMetadata {
  readonly cleanStop: boolean;
}

const INDEX_WINDOW_BYTES = 64 * 1024;

/** Checks the segments of one log, oldest first, each by itself and as the next of the one before. */
export class LogCheck {
  readonly #epochs: EpochBounds;
  readonly #checkpoint: Checkpoint | undefined;
  /** The log ends by its checkpoint: nothing has to be recovered. */
  readonly #trusted: boolean;
  #tally: LogTally = { segments: 0, bytes: 0, batches: 0, records: 0 };
  /** Recovery will end the log before this segment. */
  #ended = false;
  #cut: LogCut | undefined;
  #end: LogCut | undefined;
  #lostBefore: LogTally['lostBefore'];
  /** Base offsets of segments that are listed, and not there. */
  readonly #missing: number[] = [];

  constructor(
    private readonly directory: string,
    private readonly segments: readonly FoundSegment[],
    private readonly about: LogExpectation,
    private readonly report: Report,
    private readonly progress: Progress,
  ) {
    const { checkpoint, cleanStop, epochs, slotLost } = about;
    this.#checkpoint = checkpoint;
    this.#epochs = new EpochBounds(epochs, checkpoint?.leaderEpoch ?? 0);
    this.#trusted = cleanStop && checkpoint?.tailDistrusted === false && !slotLost;
  }

  run(): LogTally {
    const kept = this.#withoutLeftovers();
    this.#checkBeginning(kept);
    this.#checkCleaned(kept);
    let before: { readonly segment: FoundSegment; readonly tally: SegmentTally } | undefined;
    for (const segment of kept) {
      const lost = this.#missing.some((base) => base < segment.baseOffset);
      if (lost) this.#cutAtEnd('the segment behind is missing');
      if (before !== undefined) this.#checkFollows(before.segment, before.tally, segment);
      if (this.#ended) this.#reportSetAside(segment);
      else {
        const tally = this.#checkSegment(segment);
        this.#ended = tally.ends;
        before = { segment, tally };
      }
      this.progress(segment.fileBytes);
    }
    this.#checkReaches(kept);
    return { ...this.#tally, cut: this.#cut, lostBefore: this.#lostBefore, end: this.#end };
  }

  /** Segments wholly below the start of the log: the next start removes them. */
  #withoutLeftovers(): readonly FoundSegment[] {
    const { startOffset = 0, segmentBase = 0 } = this.#checkpoint ?? {};
    const first = this.segments.findIndex(({ baseOffset }, i) => {
      const end = this.segments[i + 1]?.baseOffset ?? segmentBase;
      return baseOffset >= segmentBase || end > startOffset;
    });
    const kept = first < 0 ? [] : this.segments.slice(first);
    for (const { path } of this.segments.slice(0, this.segments.length - kept.length)) {
      const problem = `all of it is below the start of the log, offset ${startOffset}`;
      const advice = 'the next start removes it';
      this.report({ severity: 'note', kind: 'leftover', path, problem, advice });
    }
    return kept;
  }

  #checkBeginning(kept: readonly FoundSegment[]): void {
    const checkpoint = this.#checkpoint;
    const [first] = kept;
    if (checkpoint === undefined) {
      if (first === undefined) return;
      const path = join(this.directory, CHECKPOINT_FILE);
      this.#damage('checkpoint', path, `there is none, but there are ${kept.length} segments`);
      return;
    }
    const { endOffset, startOffset } = checkpoint;
    const begins = first?.baseOffset ?? endOffset;
    const explained = begins <= startOffset || this.#epochs.explainsGap(startOffset, begins);
    if (endOffset > startOffset && !explained && this.about.epochsKnown) {
      this.#damage(
        'segment-missing',
        first?.path ?? this.directory,
        `the log begins at offset ${startOffset}, but there is no segment before offset ${begins}`,
      );
      this.#lostBefore = { from: startOffset, to: begins };
    }
  }

  /** The last segment that the checkpoint vouches for must be there. */
  #checkReaches(kept: readonly FoundSegment[]): void {
    const { position = 0, segmentBase } = this.#checkpoint ?? {};
    const last = kept.find(({ baseOffset }) => baseOffset === segmentBase);
    if (position === 0 || last !== undefined) return;
    this.#damage(
      'segment-missing',
      this.directory,
      `the segment with base offset ${segmentBase ?? 0} is missing: the checkpoint vouches for ` +
        `${position} bytes of it`,
    );
    this.#cutAtEnd('its last segment is missing');
  }

  /** The log cannot go on behind what was looked through so far. */
  #cutAtEnd(problem: string): void {
    if (this.#end !== undefined) this.#cut ??= { ...this.#end, problem };
  }

  /** Below `cleanedTo` gaps are normal: there compaction.json lists the segments. */
  #checkCleaned(kept: readonly FoundSegment[]): void {
    const begins = kept[0]?.baseOffset ?? Infinity;
    const { segments } = this.about.manifest;
    for (const [base, end] of lostSegments(segments, kept, this.#checkpoint?.startOffset ?? 0)) {
      // What is missing at the beginning was found there.
      if (base < begins) continue;
      this.#damage(
        'segment-missing',
        join(this.directory, logFileName(base)),
        `it is not there: compaction.json lists it with offsets ${base} to ${end - 1}`,
      );
      this.#missing.push(base);
    }
  }

  #checkFollows(before: FoundSegment, { endOffset }: SegmentTally, next: FoundSegment): void {
    if (endOffset === undefined || this.#ended) return;
    const { baseOffset } = next;
    const { epochsKnown, manifest, manifestKnown } = this.about;
    const { cleanedTo } = manifest;
    if (baseOffset === endOffset) return;
    if (baseOffset > endOffset) {
      const from = Math.max(endOffset, cleanedTo);
      const explained = baseOffset <= cleanedTo || this.#epochs.explainsGap(from, baseOffset);
      if (explained || !manifestKnown || !epochsKnown) return;
    }
    if (!this.#trusted && baseOffset > (this.#checkpoint?.segmentBase ?? Infinity)) {
      this.#ended = true;
      return;
    }
    const problem =
      baseOffset > endOffset
        ? `offsets ${endOffset} to ${baseOffset - 1} are missing: the segment before ends there, and ` +
          'neither epochs.json nor compaction.json tells of a gap'
        : `it begins at offset ${baseOffset}, but ${before.path} has offsets up to ${endOffset - 1}`;
    this.#damage('segment-missing', next.path, problem);
    this.#cutAtEnd(problem);
  }

  #reportSetAside({ path, fileBytes }: FoundSegment): void {
    this.report({
      ...{ severity: 'note', kind: 'tail', path, position: 0 },
      problem: `${fileBytes} bytes behind the end of the log`,
      advice: `the next start sets it aside as ${path}.cut`,
    });
  }

  #checkSegment(segment: FoundSegment): SegmentTally {
    const { fileBytes, path } = segment;
    const about = this.#expectation(segment);
    if (about.soundTo !== Infinity && fileBytes < about.soundTo) {
      const problem = `it ends at byte ${fileBytes}, but was synced up to ${about.soundTo}`;
      this.#damage('segment-short', path, problem, fileBytes);
    }
    const file = new FileReader(path);
    try {
      const index = this.#index(segment);
      const tally = new SegmentCheck(file, about, index, this.report).run();
      this.#checkEnd(about, tally, path);
      const { batches, bytes, records, segments } = this.#tally;
      this.#note(segment, about, tally, records);
      this.#tally = {
        segments: segments + 1,
        bytes: bytes + tally.dataBytes,
        batches: batches + tally.batches,
        records: records + tally.records,
      };
      return tally;
    } finally {
      file.close();
    }
  }

  /** Takes notice of where it could be cut: at its damage, or behind its data. */
  #note(
    segment: FoundSegment,
    { soundTo }: SegmentExpectation,
    { damage, dataBytes, endOffset, records }: SegmentTally,
    before: number,
  ): void {
    if (damage !== undefined) {
      this.#cut ??= { ...damage, segment, records: before + damage.records };
    }
    if (endOffset === undefined) return;
    const problem = '';
    this.#end = { segment, position: dataBytes, endOffset, records: before + records, problem };
    const isShort = soundTo !== Infinity && segment.fileBytes < soundTo;
    if (isShort) this.#cutAtEnd(`${segment.path} ends early`);
  }

  #expectation({ baseOffset }: FoundSegment): SegmentExpectation {
    const { manifest, manifestKnown } = this.about;
    const { segmentBase, position, tailDistrusted } = this.#checkpoint ?? {};
    const behind = segmentBase === undefined || baseOffset > segmentBase;
    const soundTo = behind ? 0 : baseOffset === segmentBase ? (position ?? 0) : Infinity;
    return {
      baseOffset,
      // Without a checkpoint nobody knows what was synced: then all of it has to be sound.
      soundTo: this.#checkpoint === undefined ? Infinity : soundTo,
      tail: this.#trusted ? 'nothing' : tailDistrusted === true ? 'to-cut' : 'to-recover',
      cleaned: baseOffset < manifest.cleanedTo || (!manifestKnown && soundTo === Infinity),
      epochs: this.#epochs,
    };
  }

  /** The checkpoint's end offset is that of the batches before its position. */
  #checkEnd({ soundTo }: SegmentExpectation, tally: SegmentTally, path: string): void {
    const { endOffset } = this.#checkpoint ?? {};
    if (soundTo === 0 || tally.dataBytes !== soundTo || tally.endOffset === undefined) return;
    if (tally.endOffset === endOffset) return;
    this.#damage(
      'checkpoint',
      join(this.directory, CHECKPOINT_FILE),
      `it says that offset ${endOffset ?? 0} follows byte ${soundTo} of ${path}, but ` +
        `${tally.endOffset} does`,
    );
  }

  #index({ baseOffset, fileBytes, indexPath, path }: FoundSegment): IndexCheck | undefined {
    const unclean = !this.#trusted && baseOffset >= (this.#checkpoint?.segmentBase ?? 0);
    try {
      const file = new FileReader(indexPath, INDEX_WINDOW_BYTES);
      return new IndexCheck(file, baseOffset, unclean ? 'note' : 'damage', this.report);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      if (!unclean && fileBytes > 0) {
        const problem = `the index of ${path} is not there`;
        const advice = 'the broker builds it from the log when it is needed';
        this.report({ severity: 'note', kind: 'index', path: indexPath, problem, advice });
      }
      return undefined;
    }
  }

  #damage(kind: FindingKind, path: string, problem: string, position = 0): void {
    this.report({ severity: 'damage', kind, path, position, problem, advice: RESTORE });
  }
}
