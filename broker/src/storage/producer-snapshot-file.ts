import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { DataDirError } from './errors.js';
import { encodeCompactJsonFile, readJsonFile } from './json-file.js';
import type { LogEnvironment } from './log-environment.js';
import { PRODUCERS_FILE } from './log-files.js';

/** What the batches of a log say of their producers, as `producers.json` holds it. */
export interface ProducerSnapshot {
  /** It covers every batch below this offset. */
  readonly offset: number;
  /** The log's leader epoch when it was taken. */
  readonly leaderEpoch: number;
  /** What {@link ProducerStates.encode} gave. */
  readonly producers: unknown;
}

/** Undefined where there is none, or none that can be read: the log tells the same. */
export async function readProducerSnapshot(
  directory: string,
  { logger }: Pick<LogEnvironment, 'logger'>,
): Promise<ProducerSnapshot | undefined> {
  const path = join(directory, PRODUCERS_FILE);
  try {
    const content = await readJsonFile(path);
    if (typeof content !== 'object' || content === null) return undefined;
    if (!('offset' in content) || !('producers' in content)) return undefined;
    if (!('leaderEpoch' in content)) return undefined;
    const { offset, leaderEpoch, producers } = content;
    if (typeof offset !== 'number' || typeof leaderEpoch !== 'number') return undefined;
    return { offset, leaderEpoch, producers };
  } catch (error) {
    if (!(error instanceof DataDirError)) throw error;
    logger.warn({ file: path }, 'a damaged producer snapshot is rebuilt from the log');
    return undefined;
  }
}

/**
 * Replaces the snapshot. Its content is on the device before it gets its name; that the name is, is up
 * to the caller, who needs it only before batches go that the snapshot speaks for.
 */
export async function writeProducerSnapshot(
  directory: string,
  { offset, leaderEpoch, producers }: ProducerSnapshot,
): Promise<void> {
  const path = join(directory, PRODUCERS_FILE);
  const file = await open(`${path}.tmp`, 'w', 0o644);
  try {
    await file.writeFile(encodeCompactJsonFile({ offset, leaderEpoch, producers }));
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
}
