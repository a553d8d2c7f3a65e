import { COMPACTION_FILE, CHECKPOINT_FILE } from '../storage/log-files.js';
import { EPOCHS_FILE } from '../storage/epoch-history.js';
import { DAMAGE_FILE } from '../storage/damage.js';
import type { LogCut } from './log-check.js';
import type { NamedPartition } from './verify-directory.js';

/** What a repair would do to one partition. */
export interface RepairPlan {
  readonly partition: NamedPartition;
  /** Where the log is to end; undefined: where it does. */
  readonly cut: LogCut | undefined;
  /** Where it is to begin, because its first segments are lost. */
  readonly startOffset: number | undefined;
  /** Small files that are to be made anew from the log. */
  readonly remade: readonly string[];
  /** What is lost to readers by the cut: it is kept beside the log. */
  readonly lostRecords: number;
  readonly lostBytes: number;
  /** Offsets from `from` on, below `to`; what lies below is not known where they are the same. */
  readonly lostOffsets: { readonly from: number; readonly to: number } | undefined;
}

/** What there is to repair of `partition`; undefined when there is nothing. */
export function planRepair(partition: NamedPartition): RepairPlan | undefined {
  const { tally, checkpoint, segments, noticed, epochsKnown, manifestKnown } = partition;
  const { lostBefore } = tally;
  const remade = [
    ...(checkpoint === undefined && segments.length > 0 ? [CHECKPOINT_FILE] : []),
    ...(epochsKnown ? [] : [EPOCHS_FILE]),
    ...(manifestKnown ? [] : [COMPACTION_FILE]),
  ];
  const cut = tally.cut ?? (remade.includes(CHECKPOINT_FILE) ? tally.end : undefined);
  if (cut === undefined && lostBefore === undefined && remade.length === 0) {
    return noticed && { ...NOTHING_LOST, partition, remade: [DAMAGE_FILE] };
  }
  const ends = Math.max(checkpoint?.endOffset ?? 0, tally.end?.endOffset ?? 0);
  const behind = cut === undefined ? [] : segmentsBehind(partition, cut);
  const bytes = behind.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
  const isLoss = tally.cut !== undefined;
  return {
    ...{ partition, cut, remade, startOffset: lostBefore?.to },
    lostRecords: isLoss && cut !== undefined ? tally.records - cut.records : 0,
    lostBytes: isLoss && cut !== undefined ? cut.segment.fileBytes - cut.position + bytes : 0,
    lostOffsets: isLoss && cut !== undefined ? { from: cut.endOffset, to: ends } : lostBefore,
  };
}

const NOTHING_LOST = {
  ...{ cut: undefined, startOffset: undefined, lostRecords: 0, lostBytes: 0 },
  lostOffsets: undefined,
} as const;

/** The segments that a cut takes out whole. */
export function segmentsBehind(
  { segments }: Pick<NamedPartition, 'segments'>,
  cut: LogCut,
): NamedPartition['segments'] {
  return segments.filter(({ baseOffset }) => baseOffset > cut.segment.baseOffset);
}

/** The plan for people: what is lost, of which files, and where it is kept. */
export function describePlan(plan: RepairPlan): readonly string[] {
  const { cut, lostBytes, lostOffsets, lostRecords, partition, remade, startOffset } = plan;
  const lines: string[] = [];
  if (startOffset !== undefined) {
    lines.push(`its first segments are lost: it will begin at offset ${startOffset}`);
  }
  if (cut !== undefined && lostBytes > 0) {
    const { path } = cut.segment;
    lines.push(
      `ends at offset ${cut.endOffset}: ${path} is cut at byte ${cut.position} (${cut.problem})`,
      `takes out ${lostRecords} records that can still be read, ${lostBytes} bytes; they are kept:`,
      ...(cut.segment.fileBytes > cut.position ? [`  ${path}.${cut.position}.cut`] : []),
      ...segmentsBehind(partition, cut).map((segment) => `  ${segment.path}.cut`),
    );
  }
  if (lostOffsets !== undefined && lostOffsets.to > lostOffsets.from) {
    lines.push(`readers lose the offsets ${lostOffsets.from} to ${lostOffsets.to - 1}`);
  }
  const made = remade.filter((name) => name !== DAMAGE_FILE);
  if (made.length > 0) lines.push(`made anew from the log: ${made.join(', ')}`);
  if (partition.noticed !== undefined) lines.push('takes appends again');
  return lines.map((line) => `${partition.name}: ${line}`);
}
