import type { BatchHeader } from '@millrace/protocol';
import { headerProblem, walkBatches } from './batch-walk.js';
import type { WalkedBatch } from './batch-walk.js';
import type { EpochBounds } from './epoch-bounds.js';
import type { FileReader } from './file-reader.js';
import { FileFindings, RESTORE } from './findings.js';
import type { Report } from './findings.js';
import type { IndexCheck } from './index-check.js';

/** What is known of a segment before it is looked at. */
export interface SegmentExpectation {
  readonly baseOffset: number;
  /** Up to here the checkpoint vouches for it; Infinity: for all of it. */
  readonly soundTo: number;
  /**
   * What may lie behind: nothing after a clean stop; what recovery keeps or cuts after an unclean one; what
   * it cuts in any case after a failed sync.
   */
  readonly tail: 'nothing' | 'to-recover' | 'to-cut';
  /** Compaction may have taken records and batches out. */
  readonly cleaned: boolean;
  readonly epochs: EpochBounds;
}

/** What a segment was found to hold. */
export interface SegmentTally {
  readonly batches: number;
  readonly records: number;
  /** Data, without what was allocated ahead of it. */
  readonly dataBytes: number;
  /** The offset after the last batch; undefined where damage hides it. */
  readonly endOffset: number | undefined;
  /** The log ends in here: recovery will cut what comes behind. */
  readonly ends: boolean;
  /** The first damage below the checkpoint. */
  readonly damage: SegmentDamage | undefined;
}

/** Where a segment ends to be sound, and what it holds before. */
export interface SegmentDamage {
  readonly position: number;
  /** The offset after the last sound batch before it. */
  readonly endOffset: number;
  readonly records: number;
  readonly problem: string;
}

/** Checks one segment front to back, and its index along the way. */
export class SegmentCheck {
  readonly #findings: FileFindings;
  #batches = 0;
  #records = 0;
  #dataBytes = 0;
  /** Of all batches so far; undefined behind a damaged one. */
  #maxTimestampMs: number | undefined = -1;
  #ends = false;
  #firstDamage: SegmentDamage | undefined;
  /** The base offset that the next batch must have; undefined behind a batch that tells nothing. */
  #expected: number | undefined;
  /** The least that the next batch can have. */
  #least: number;

  constructor(
    private readonly file: FileReader,
    private readonly about: SegmentExpectation,
    private readonly index: IndexCheck | undefined,
    report: Report,
  ) {
    this.#findings = new FileFindings(file.path, report);
    this.#expected = about.baseOffset;
    this.#least = about.baseOffset;
  }

  run(): SegmentTally {
    const readable = this.#walk();
    if (readable) this.index?.end(this.#dataBytes);
    this.index?.close();
    this.#findings.end();
    return {
      batches: this.#batches,
      records: this.#records,
      dataBytes: this.#dataBytes,
      endOffset: this.#expected,
      ends: this.#ends,
      damage: this.#firstDamage,
    };
  }

  /** False when it did not get to the end of what is to be kept. */
  #walk(): boolean {
    for (const walked of walkBatches(this.file)) {
      const { position } = walked;
      const sound = position < this.about.soundTo;
      if (!sound && !this.#mayBehind(position, walked.kind === 'zeros')) return true;
      if (walked.kind === 'batch') {
        if (sound) this.#takeSound(walked);
        else if (!this.#takeTail(walked)) return true;
        continue;
      }
      if (walked.kind === 'zeros') {
        return this.#takeZeros(position, walked.length, sound);
      }
      if (sound) this.#damage(position, walked.problem);
      else this.#cut(position, walked.problem);
      this.#expected = sound ? undefined : this.#expected;
      return false;
    }
    return true;
  }

  /** Whether what lies behind the checkpoint is to be looked at; if not, it is told of. */
  #mayBehind(position: number, zeros: boolean): boolean {
    const { tail } = this.about;
    if (zeros || tail === 'to-recover') return true;
    if (tail === 'to-cut') {
      this.#cut(position, 'an earlier sync of it failed');
      return false;
    }
    this.#findings.add({
      ...{ severity: 'damage', kind: 'segment-extra', position },
      problem: `${this.file.sizeBytes - position} bytes lie behind the checkpoint of a clean stop`,
      advice: `the broker does not read them; if they are records that you miss, ${RESTORE}`,
    });
    this.#ends = true;
    return false;
  }

  #takeSound(batch: WalkedBatch): void {
    const { header, position } = batch;
    const { soundTo } = this.about;
    const problem = headerProblem(batch) ?? this.#chainProblem(header);
    if (problem !== undefined) this.#damage(position, problem);
    const end = position + header.sizeBytes;
    if (position < soundTo && end > soundTo) {
      this.#damage(position, `the checkpoint ends at byte ${soundTo}, within this batch`);
    }
    this.#count(batch, problem === undefined);
  }

  /** False when the log ends before this batch. */
  #takeTail(batch: WalkedBatch): boolean {
    const problem = headerProblem(batch) ?? this.#chainProblem(batch.header);
    if (problem !== undefined) {
      this.#cut(batch.position, problem);
      return false;
    }
    this.#count(batch, true);
    return true;
  }

  #chainProblem(header: BatchHeader): string | undefined {
    const { baseOffset, lastOffsetDelta, partitionLeaderEpoch, recordCount } = header;
    const { cleaned, epochs } = this.about;
    if (this.#expected !== undefined && !cleaned && baseOffset !== this.#expected) {
      return `base offset ${baseOffset} where ${this.#expected} must follow`;
    }
    if (baseOffset < this.#least) {
      return `base offset ${baseOffset} where at least ${this.#least} must follow`;
    }
    if (!cleaned && recordCount !== lastOffsetDelta + 1) {
      return `a record count of ${recordCount} with a last offset delta of ${lastOffsetDelta}`;
    }
    return epochs.problem(baseOffset, partitionLeaderEpoch);
  }

  #count(batch: WalkedBatch, good: boolean): void {
    const { header, position } = batch;
    // What a damaged batch says proves nothing about its index entry.
    this.index?.batch(good ? header.baseOffset : undefined, position, this.#maxTimestampMs);
    this.#maxTimestampMs =
      batch.crcFits && this.#maxTimestampMs !== undefined
        ? Math.max(this.#maxTimestampMs, header.maxTimestampMs)
        : undefined;
    this.#batches += 1;
    this.#records += Math.max(0, header.recordCount);
    this.#dataBytes = position + header.sizeBytes;
    this.#expect(batch);
  }

  /** One damaged batch is told of once, not again by all that follow it. */
  #expect({ header, crcFits }: WalkedBatch): void {
    const span = header.lastOffsetDelta + 1;
    const trusted = crcFits && span > 0;
    if (!trusted) {
      this.#expected = undefined;
      return;
    }
    // The base offset lies outside of the checksum: where it is wrong the chain is right.
    const base = this.about.cleaned ? header.baseOffset : (this.#expected ?? header.baseOffset);
    const inOrder = base >= this.#least;
    this.#least = (inOrder ? base : this.#least) + span;
    this.#expected = this.#least;
  }

  /** False where there should be data. */
  #takeZeros(position: number, length: number, sound: boolean): boolean {
    const { soundTo } = this.about;
    if (!sound) return true; // allocated ahead of the end
    if (soundTo === Infinity) {
      this.#findings.add({
        ...{ severity: 'note', kind: 'tail', position },
        problem: `${length} bytes of zeros behind the data of a sealed segment`,
        advice: 'a crash came before it was trimmed; readers pass over them',
      });
      return true;
    }
    this.#damage(position, `zeros, where the checkpoint vouches for data up to byte ${soundTo}`);
    this.#expected = undefined;
    return false;
  }

  #damage(position: number, problem: string): void {
    const endOffset = this.#expected ?? this.#least;
    this.#firstDamage ??= { position, endOffset, records: this.#records, problem };
    this.#findings.add({ severity: 'damage', kind: 'batch', position, problem, advice: RESTORE });
  }

  #cut(position: number, problem: string): void {
    this.#ends = true;
    this.#findings.add({
      ...{ severity: 'note', kind: 'tail', position, problem: `an un-synced tail: ${problem}` },
      advice:
        `the next start ends the log here, and keeps the ${this.file.sizeBytes - position} bytes ` +
        `behind in ${this.file.path}.${position}.cut`,
    });
  }
}
