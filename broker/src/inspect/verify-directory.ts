import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { META_COPY, META_FILE, TOPICS_DIRECTORY } from '../storage/data-dir.js';
import { isLockName } from '../storage/data-dir-lock.js';
import { DataDirError, errnoOf } from '../storage/errors.js';
import { readJsonFile } from '../storage/json-file.js';
import { decodeMeta, isNewer } from './data-files.js';
import type { Report } from './findings.js';
import { holdDirectory } from './running-broker.js';
import { tryRead } from './partition-metadata.js';
import type { CheckedPartition } from './verify-partition.js';
import { verifyTopics } from './verify-topic.js';
import type { TopicTally } from './verify-topic.js';

/** It cannot be said whether the directory is sound; the message says why, and what to do. */
export class NotVerifiableError extends Error {
  override readonly name = 'NotVerifiableError';
}

export interface VerifyOptions {
  /** Only this topic, by name. Default: all. */
  readonly topic?: string | undefined;
  /** Called with each finding, as it is found. */
  readonly report: Report;
  /** Called with each partition. */
  readonly onPartition?: (partition: NamedPartition) => void;
  /** Who asks keeps brokers off the directory. Default: it is kept from them meanwhile. */
  readonly isHeld?: boolean;
  /** Called with what was looked through since the last call. */
  readonly onProgress?: (step: ProgressStep) => void;
}

/** A partition that was checked. */
export interface NamedPartition extends CheckedPartition {
  /** As in `orders-3`. */
  readonly name: string;
  readonly directory: string;
}

export interface ProgressStep {
  /** As in `orders-3`. */
  readonly partition: string;
  readonly bytes: number;
}

/** What a data directory was found to hold. */
export interface VerifyResult {
  readonly directory: string;
  /** Undefined when `meta.json` does not say. */
  readonly clusterId: string | undefined;
  /** The last broker stopped in good order. */
  readonly cleanStop: boolean;
  readonly topics: readonly TopicTally[];
}

/**
 * Checks everything in a data directory that no broker has open, and changes nothing; no broker can
 * open it meanwhile.
 * @throws NotVerifiableError, or an errno error
 */
export async function verifyDirectory(path: string, options: VerifyOptions): Promise<VerifyResult> {
  const directory = resolve(path);
  const names = await namesOf(directory);
  const held = options.isHeld === true ? NOT_HELD : await holdDirectory(directory);
  if (held === undefined) {
    throw new NotVerifiableError(
      `${directory} is in use by a broker; stop that one first, or verify a copy of the directory`,
    );
  }
  try {
    const clusterId = await checkMeta(directory, options.report);
    await checkProducerIds(directory, options.report);
    reportOthers(directory, names, options.report);
    const cleanStop = names.includes('clean');
    const topics = await verifyTopics(join(directory, TOPICS_DIRECTORY), cleanStop, options);
    if (options.topic !== undefined && topics.length === 0) {
      throw new NotVerifiableError(`${directory} has no topic ${JSON.stringify(options.topic)}`);
    }
    return { directory, clusterId, cleanStop, topics };
  } finally {
    held.release();
  }
}

const NOT_HELD = { release: (): void => undefined };

async function namesOf(directory: string): Promise<readonly string[]> {
  let names: readonly string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    const reason = errnoOf(error) ?? String(error);
    throw new NotVerifiableError(`${directory} cannot be read (${reason}); name a data directory`, {
      cause: error,
    });
  }
  if (names.includes(META_FILE) || (await hasTopics(directory))) return names;
  throw new NotVerifiableError(
    `${directory} is no data directory of millrace: it has no ${META_FILE} and no topics`,
  );
}

async function hasTopics(directory: string): Promise<boolean> {
  const topics = await stat(join(directory, TOPICS_DIRECTORY)).catch(() => undefined);
  return topics?.isDirectory() === true;
}

async function checkMeta(directory: string, report: Report): Promise<string | undefined> {
  const path = join(directory, META_FILE);
  const advice = `the next start takes ${META_COPY}; if there is none, restore it from a backup`;
  return tryRead('meta', path, report, advice, async () => {
    const content = await readJsonFile(path);
    if (content === undefined) throw new DataDirError('damaged', `${path} is missing`);
    const meta = decodeMeta(content);
    if (meta === undefined) {
      throw new DataDirError('damaged', `${path} does not describe a data directory`);
    }
    if (isNewer(meta)) {
      throw new NotVerifiableError(
        `${directory} has format ${meta.formatVersion}, which this millrace does not know; ` +
          'use the release that wrote it',
      );
    }
    return meta.clusterId;
  });
}

async function checkProducerIds(directory: string, report: Report): Promise<void> {
  const path = join(directory, 'producer-ids.json');
  const advice = 'the next start goes on far beyond the ids that were given out';
  await tryRead('producer-ids', path, report, advice, async () => {
    const content = await readJsonFile(path);
    if (content === undefined || (Number.isSafeInteger(content) && Number(content) >= 0)) return;
    throw new DataDirError('damaged', `${path} does not hold the next producer id`);
  });
}

const OWN_NAMES = new Set([
  META_FILE,
  META_COPY,
  TOPICS_DIRECTORY,
  'clean',
  'producer-ids.json',
  'lost+found',
]);

function reportOthers(directory: string, names: readonly string[], report: Report): void {
  for (const name of names) {
    if (OWN_NAMES.has(name) || isLockName(name)) continue;
    report({
      ...{ severity: 'note', kind: 'leftover', path: join(directory, name) },
      problem: name.endsWith('.tmp')
        ? 'a file that was being written'
        : 'no file of a data directory',
      advice: 'the broker passes over it; move it away if you do not know it',
    });
  }
}
