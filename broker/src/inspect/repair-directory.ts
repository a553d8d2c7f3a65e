import { readdir, stat, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Logger } from 'pino';
import { loadNative } from '@millrace/native';
import { TOPICS_DIRECTORY } from '../storage/data-dir.js';
import { lockDirectory } from '../storage/data-dir-lock.js';
import { DataDirError } from '../storage/errors.js';
import { unlinkIfThere } from '../storage/log-files.js';
import type { FindingKind } from './findings.js';
import { repairPartition } from './repair.js';
import { planRepair } from './repair-plan.js';
import type { RepairPlan } from './repair-plan.js';
import { NotVerifiableError, verifyDirectory } from './verify-directory.js';
import type { VerifyOptions } from './verify-directory.js';

/** What a repair of a data directory would do, or did. */
export interface Repairs {
  /** Of partitions. */
  readonly plans: readonly RepairPlan[];
  /** Damaged files that are removed, for the broker builds them again from the log. */
  readonly rebuilt: readonly string[];
}

const REBUILT_KINDS: ReadonlySet<FindingKind> = new Set<FindingKind>(['index', 'producers']);

/** Checks a data directory, and says what a repair would do. Changes nothing. */
export async function planRepairs(path: string, options: VerifyOptions): Promise<Repairs> {
  const plans: RepairPlan[] = [];
  const rebuilt = new Set<string>();
  await verifyDirectory(path, {
    ...options,
    report: (finding) => {
      options.report(finding);
      const { kind, severity } = finding;
      if (severity === 'damage' && REBUILT_KINDS.has(kind)) rebuilt.add(finding.path);
    },
    onPartition: (partition) => {
      const plan = planRepair(partition);
      if (plan !== undefined) plans.push(plan);
    },
  });
  return { plans, rebuilt: [...rebuilt] };
}

/**
 * Repairs a data directory, with brokers kept off it; resolves to what was done.
 * @throws NotVerifiableError when a broker has it.
 */
export async function repairDirectory(
  path: string,
  options: VerifyOptions,
  logger: Logger,
): Promise<Repairs> {
  return whileLocked(path, async () => {
    const repairs = await planRepairs(path, { ...options, isHeld: true });
    const native = loadNative();
    for (const file of repairs.rebuilt) await unlinkIfThere(file);
    for (const plan of repairs.plans) await repairPartition(plan, { native, logger });
    return repairs;
  });
}

/** A file that holds what recovery or a repair cut off. */
export interface CutFile {
  readonly path: string;
  readonly bytes: number;
}

/** The `.cut` files in a data directory. Nobody reads them but whoever looks for what was cut. */
export async function cutFilesIn(path: string): Promise<readonly CutFile[]> {
  const topics = join(resolve(path), TOPICS_DIRECTORY);
  const found: CutFile[] = [];
  for (const entry of await readdir(topics, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.cut')) continue;
    const file = join(entry.parentPath, entry.name);
    found.push({ path: file, bytes: (await stat(file)).size });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Removes them, with brokers kept off. @throws NotVerifiableError when a broker has the directory. */
export async function discardCutFiles(path: string): Promise<readonly CutFile[]> {
  return whileLocked(path, async () => {
    const files = await cutFilesIn(path);
    for (const file of files) await unlink(file.path);
    return files;
  });
}

async function whileLocked<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  let unlock: () => Promise<void>;
  try {
    unlock = await lockDirectory(resolve(path), loadNative());
  } catch (error) {
    if (!(error instanceof DataDirError)) throw error;
    const message = `${resolve(path)} is in use by a broker; stop that one first`;
    throw new NotVerifiableError(message, { cause: error });
  }
  try {
    return await work();
  } finally {
    await unlock();
  }
}
