import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterSwap, CLEANED_ENDING, withoutPending } from '../storage/compaction/manifest.js';
import type { CompactionManifest } from '../storage/compaction/manifest.js';
import { errnoOf } from '../storage/errors.js';
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

const NOTHING: LogTally = { segments: 0, bytes: 0, batches: 0, records: 0 };
const OWN_FILES = new Set([CHECKPOINT_FILE, COMPACTION_FILE, PRODUCERS_FILE, 'epochs.json']);
const INDEX_NAME = /^(\d{20})\.index$/;

/** Checks all files of one partition. One that never held anything has no directory. */
export async function verifyPartition(
  directory: string,
  cleanStop: boolean,
  report: Report,
  progress: Progress,
): Promise<LogTally> {
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
  const about = { ...metadata, manifest, cleanStop };
  return new LogCheck(directory, segments, about, report, progress).run();
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
    return ['what recovery cut off an un-synced tail', 'remove it if nobody misses it'];
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
