import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Native } from '@millrace/native';
import type { Logger } from 'pino';
import { syncDirectory } from '../storage/atomic-file.js';
import { CheckpointFile } from '../storage/checkpoint.js';
import type { Checkpoint } from '../storage/checkpoint.js';
import { writeManifest } from '../storage/compaction/manifest.js';
import type { CompactionManifest } from '../storage/compaction/manifest.js';
import { DAMAGE_FILE } from '../storage/damage.js';
import { EpochHistory, EPOCHS_FILE } from '../storage/epoch-history.js';
import type { LeaderEpoch } from '../storage/epoch-history.js';
import { errnoOf } from '../storage/errors.js';
import { writeJsonFile } from '../storage/json-file.js';
import {
  CHECKPOINT_FILE,
  COMPACTION_FILE,
  findSegments,
  namesIn,
  unlinkIfThere,
} from '../storage/log-files.js';
import { recoverTail } from '../storage/tail-recovery.js';
import { unusedName } from '../storage/unused-name.js';
import { walkBatches } from './batch-walk.js';
import { FileReader } from './file-reader.js';
import { segmentsBehind } from './repair-plan.js';
import type { RepairPlan } from './repair-plan.js';

/**
 * How far offsets go on behind a log whose ceiling was lost with its checkpoint: further than any that may
 * have been given out since what is on the disk.
 */
const LOST_CEILING_OFFSETS = 2 ** 32;

export interface RepairEnvironment {
  readonly native: Native | undefined;
  readonly logger: Logger;
}

/**
 * Does what `plan` says. Nothing is destroyed: what is cut lies beside the log. After a kill at any moment
 * the log is damaged still, and another repair completes what this one began: the checkpoint, which
 * says that the log is sound, is the last to change but for the note that it was not.
 */
export async function repairPartition(
  plan: RepairPlan,
  environment: RepairEnvironment,
): Promise<void> {
  const { cut, partition, remade } = plan;
  const { directory } = partition;
  if (cut !== undefined) await setAsideBehind(plan);
  if (remade.includes(EPOCHS_FILE)) await remakeEpochs(plan);
  await repairManifest(plan);
  if (cut !== undefined || plan.startOffset !== undefined) await repairLog(plan, environment);
  await unlinkIfThere(join(directory, DAMAGE_FILE));
  await syncDirectory(directory);
}

/** The newest first: what is left at any moment is a log with its end missing. */
async function setAsideBehind({ cut, partition }: RepairPlan): Promise<void> {
  if (cut === undefined) return;
  // It would point behind the end; the broker builds it again.
  await unlinkIfThere(cut.segment.indexPath);
  for (const { path, indexPath } of [...segmentsBehind(partition, cut)].reverse()) {
    await rename(path, await unusedName(`${path}.cut`));
    await unlinkIfThere(indexPath);
    await syncDirectory(partition.directory);
  }
}

/** Sets the checkpoint back to the cut; recovery then cuts there, as it does after a failed sync. */
async function repairLog(
  { cut, partition, remade, startOffset }: RepairPlan,
  { native, logger }: RepairEnvironment,
): Promise<void> {
  const { directory, name } = partition;
  const path = join(directory, CHECKPOINT_FILE);
  if (remade.includes(CHECKPOINT_FILE)) await setAsideIfThere(path);
  const checkpoint = await CheckpointFile.load(path);
  const epochs = await EpochHistory.load(directory);
  const ceiling = ceilingAfter(checkpoint, cut?.endOffset ?? 0);
  const leaderEpoch = Math.max(
    checkpoint.current?.leaderEpoch ?? 0,
    ...epochs.all.map(({ epoch }) => epoch),
  );
  const oldest = partition.segments[0]?.baseOffset ?? 0;
  const begins = startOffset ?? checkpoint.current?.startOffset ?? oldest;
  const end: Partial<Checkpoint> =
    cut === undefined
      ? {}
      : {
          ...{ segmentBase: cut.segment.baseOffset, position: cut.position },
          ...{ endOffset: cut.endOffset, tailDistrusted: true },
          ...{ snapshotOffset: -1, snapshotHoldsTo: -1 },
        };
  const hasEpochs = epochs.latest !== undefined;
  const hasManifest = (await namesIn(directory)).includes(COMPACTION_FILE);
  const known = { leaderEpoch, hasEpochs, hasManifest };
  await checkpoint.update({ ...end, startOffset: begins, ceiling, ...known });
  await checkpoint.update({});
  const { current } = checkpoint;
  if (cut === undefined || current === undefined) return;
  const segments = await findSegments(directory, await namesIn(directory));
  await recoverTail({ name, directory, checkpoint, epochs, segments }, current, { native, logger });
}

function ceilingAfter({ current, slotLost }: CheckpointFile, endOffset: number): number {
  if (current === undefined) return endOffset + LOST_CEILING_OFFSETS;
  return Math.max(endOffset, current.ceiling + (slotLost ? current.reservationStep : 0));
}

/** By the batches: an epoch begins at the first that bears it. */
async function remakeEpochs({ cut, partition }: RepairPlan): Promise<void> {
  const { directory, segments, checkpoint } = partition;
  const epochs: LeaderEpoch[] = [];
  let latest = 0;
  let end = checkpoint?.startOffset ?? segments[0]?.baseOffset ?? 0;
  for (const segment of segments) {
    if (cut !== undefined && segment.baseOffset > cut.segment.baseOffset) break;
    const file = new FileReader(segment.path);
    try {
      for (const walked of walkBatches(file)) {
        if (walked.kind !== 'batch' || !walked.crcFits) break;
        const isCut = segment.baseOffset === cut?.segment.baseOffset;
        if (isCut && walked.position >= cut.position) break;
        const { baseOffset, lastOffsetDelta, partitionLeaderEpoch: epoch } = walked.header;
        if (epoch > latest) {
          epochs.push({ epoch, startOffset: baseOffset, previousEndOffset: end });
          latest = epoch;
        }
        end = baseOffset + lastOffsetDelta + 1;
      }
    } finally {
      file.close();
    }
  }
  // One entry at the least, as the checkpoint knows of some.
  const known = checkpoint?.leaderEpoch ?? 0;
  if (known > latest || epochs.length === 0) {
    epochs.push({ epoch: Math.max(known, latest), startOffset: end, previousEndOffset: end });
  }
  await setAsideIfThere(join(directory, EPOCHS_FILE));
  await writeJsonFile(join(directory, EPOCHS_FILE), epochs);
}

/** It must not list what was cut. Where it is lost, compaction may have been everywhere. */
async function repairManifest({ cut, partition, remade }: RepairPlan): Promise<void> {
  const { directory, manifest, segments, checkpoint } = partition;
  const endsAt = cut?.endOffset ?? Infinity;
  let repaired: CompactionManifest;
  if (remade.includes(COMPACTION_FILE)) {
    const kept = segments.filter(({ baseOffset }) => baseOffset <= endsAt);
    const cleanedTo = Math.min(checkpoint?.segmentBase ?? kept.at(-1)?.baseOffset ?? 0, endsAt);
    const listed = kept.flatMap(({ baseOffset }, i) => {
      const end = Math.min(kept[i + 1]?.baseOffset ?? cleanedTo, cleanedTo);
      return baseOffset < end ? [[baseOffset, end] as const] : [];
    });
    repaired = { cleanedTo, dirtyFrom: 0, passes: [], firstTombstone: -1, segments: listed };
    await setAsideIfThere(join(directory, COMPACTION_FILE));
  } else if (manifest.cleanedTo > endsAt) {
    const listed = manifest.segments.flatMap(([base, end]) =>
      base < endsAt ? [[base, Math.min(end, endsAt)] as const] : [],
    );
    const { firstTombstone } = manifest;
    repaired = {
      ...{ cleanedTo: endsAt, dirtyFrom: Math.min(manifest.dirtyFrom, endsAt) },
      passes: manifest.passes.filter(({ to }) => to <= endsAt),
      firstTombstone: firstTombstone < endsAt ? firstTombstone : -1,
      segments: listed,
    };
  } else return;
  await writeManifest(directory, repaired);
}

/** A small file that is damaged is kept as well. */
async function setAsideIfThere(path: string): Promise<void> {
  try {
    await rename(path, await unusedName(`${path}.cut`));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
