import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  afterSwap,
  CLEANED_ENDING,
  emptyManifest,
  withoutPending,
} from '../storage/compaction/manifest.js';
import type { CompactionManifest } from '../storage/compaction/manifest.js';
import { DAMAGE_FILE, readDamage } from '../storage/damage.js';
import { EPOCHS_FILE } from '../storage/epoch-history.js';
import { errnoOf } from '../storage/errors.js';
import type { CorruptLogError } from '../storage/errors.js';
import {
  CHECKPOINT_FILE,
  COMPACTION_FILE,
  findSegments,
  PRODUCERS_FILE,
} from '../storage/log-files.js';
import type { FoundSegment } from '../storage/log-files.js';
import { indexFileName, parseLogFileName } from '../storage/segment-name.js';
import type { Report } from './findings.js';
import { LogCheck } from './log-check.js';
import type { LogTally, Progress } from './log-check.js';
import { readPartitionMetadata } from './partition-metadata.js';
import type { PartitionMetadata } from './partition-metadata.js';

const NOTHING: CheckedPartition = {
  tally: { segments: 0, bytes: 0, batches: 0, records: 0 },
  ...{ checkpoint: undefined, slotLost: false, epochs: [], manifest: emptyManifest },
  ...{ epochsKnown: true, manifestKnown: true, segments: [], noticed: undefined },
};
const OWN_FILES = new Set([
  ...[CHECKPOINT_FILE, COMPACTION_FILE, PRODUCERS_FILE, EPOCHS_FILE, DAMAGE_FILE],
]);
const INDEX_NAME = /^(\d{20})\.index$/;

/** What was found of one partition, besides findings. */
export interface CheckedPartition extends PartitionMetadata {
  readonly tally: LogTally;
  /** The segments, as the next start will have them. */
  readonly segments: readonly FoundSegment[];
  /** A broker noticed damage, and takes no appends since. */
  readonly noticed: CorruptLogError | undefined;
}

/** Checks all files of one partition. One that never held anything has no directory. */
export async function verifyPartition(
  directory: string,
  cleanStop: boolean,
  report: Report,
  progress: Progress,
): Promise<CheckedPartition> {
  let names: readonly string[];
  try {
    names = (await readdir(directory)).sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return NOTHING;
    throw error;
  }
  const metadata = await readPartitionMetadata(directory, report);
  reportOthers(directory, names, report);
  const found = await findSegments(directory, names);
  const { segments, manifest } = asAfterSwap(directory, names, found, metadata, report);
  const noticed = await readDamage(directory);
  if (noticed !== undefined) reportNoticed(directory, noticed, report);
  const about = { ...metadata, manifest, cleanStop };
  const tally = new LogCheck(directory, segments, about, report, progress).run();
  return { ...metadata, manifest, tally, segments, noticed };
}

function reportNoticed(directory: string, noticed: CorruptLogError, report: Report): void {
  report({
    ...{ severity: 'damage', kind: 'noticed', path: join(directory, DAMAGE_FILE) },
    problem: `a broker noticed: ${noticed.path} at byte ${noticed.position}: ${noticed.problem}`,
    advice: 'it takes no appends until --repair: also when the file was restored since',
  });
}

/** The segments as the next start will have them: it ends a swap that a crash interrupted. */
function asAfterSwap(
  directory: string,
  names: readonly string[],
  found: readonly FoundSegment[],
  { manifest }: PartitionMetadata,
  report: Report,
): { readonly segments: readonly FoundSegment[]; readonly manifest: CompactionManifest } {
  const { pending } = manifest;
  if (pending === undefined) return { segments: found, manifest };
  const { base, bytes, end } = pending;
  const path = join(directory, COMPACTION_FILE);
  const renamed = !names.some((name) => parseCleaned(name) === base);
  report({
    ...{ severity: 'note', kind: 'compaction', path },
    problem: `compaction of offsets ${base} to ${end - 1} was interrupted`,
    advice: `the next start ${renamed ? 'completes it' : 'goes back to the segments before it'}`,
  });
  if (!renamed) return { segments: found, manifest: withoutPending(manifest) };
  const first = found.find(({ baseOffset }) => baseOffset === base);
  if (first !== undefined && first.fileBytes !== bytes) {
    report({
      ...{ severity: 'damage', kind: 'compaction', path, position: 0 },
      problem: `it says that ${first.path} has ${bytes} bytes, but there are ${first.fileBytes}`,
      advice: 'restore the partition directory from a backup',
    });
  }
  const segments = found.filter(({ baseOffset }) => baseOffset <= base || baseOffset >= end);
  return { segments, manifest: afterSwap(manifest, pending) };
}

/** Files that are no part of the log. */
function reportOthers(directory: string, names: readonly string[], report: Report): void {
  for (const name of names) {
    if (OWN_FILES.has(name) || parseLogFileName(name) !== undefined) continue;
    const log = INDEX_NAME.exec(name)?.[1];
    if (log !== undefined && names.includes(`${log}.log`)) continue;
    const [problem, advice] = describe(name, log !== undefined);
    report({ severity: 'note', kind: 'leftover', path: join(directory, name), problem, advice });
  }
}

function describe(name: string, isIndex: boolean): readonly [string, string] {
  if (isIndex) return ['an index without its segment', 'remove it'];
  if (name.endsWith(CLEANED_ENDING)) {
    return ['what compaction did not get to put in place', 'the next start removes it'];
  }
  if (name.endsWith('.cut')) {
    return ['what recovery or a repair cut off', '--discard-cut removes it, if nobody misses it'];
  }
  if (name.endsWith('.tmp')) {
    return ['a file that was being written', 'the broker writes over it; it can be removed'];
  }
  return [
    'no file of a partition',
    'move it away if you do not know it; the broker passes over it',
  ];
}

function parseCleaned(name: string): number | undefined {
  if (!name.endsWith(CLEANED_ENDING)) return undefined;
  return parseLogFileName(name.slice(0, -CLEANED_ENDING.length));
}

/** The base offset in the name of an index file; undefined for any other name. */
export function parseIndexFileName(name: string): number | undefined {
  const digits = INDEX_NAME.exec(name)?.[1];
  return digits === undefined || indexFileName(Number(digits)) !== name
    ? undefined
    : Number(digits);
}
