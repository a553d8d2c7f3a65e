import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { syncDirectory } from '../storage/atomic-file.js';
import { DataDirError, errnoOf } from '../storage/errors.js';
import {
  COPY_SUFFIX,
  healJsonFile,
  readJsonFile,
  writeJsonFileAndCopy,
} from '../storage/json-file.js';
import type { ConfigOverrides } from './topic-config.js';

export const TOPIC_FILE = 'topic.json';
export const TOPIC_COPY = `${TOPIC_FILE}${COPY_SUFFIX}`;
/** Names of partitions' directories. */
export const PARTITION_NAME = /^(0|[1-9]\d*)$/;
/** A directory on its way in: never a topic. */
export const NEW_SUFFIX = '.new';

/** What a topic is made of, as its `topic.json` holds it. */
export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  /** Overrides of the broker's defaults, by Kafka's names. */
  readonly config: ConfigOverrides;
}

/**
 * Makes the directory of a new topic, durably; it appears whole or not at all.
 * @throws Error with an errno code, and then nothing is left of it.
 */
export async function storeNewTopic(path: string, spec: TopicSpec): Promise<void> {
  const temporary = `${path}${NEW_SUFFIX}`;
  try {
    await mkdir(temporary);
    await writeJsonFileAndCopy(join(temporary, TOPIC_FILE), spec);
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    // A topic whose creation was refused must not be there after a restart.
    await takeBack(path, temporary).catch(() => undefined); // the next start ends it
    throw error;
  }
}

/**
 * Removes a new topic again. It loses its name first, durably: a directory with a topic's name never lacks
 * its `topic.json`, wherever a crash comes.
 */
async function takeBack(path: string, temporary: string): Promise<void> {
  try {
    await rename(path, temporary);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  await syncDirectory(dirname(path));
  await rm(temporary, { recursive: true, force: true });
}

/**
 * After a rename of a topic's directory that failed, which may have happened all the same: gives it its name
 * back.
 * @returns whether it has its name `path`.
 */
export async function undoRename(path: string, renamed: string): Promise<boolean> {
  await rename(renamed, path).catch(() => undefined); // it need not have happened
  try {
    await stat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
  }
  // Where this fails, too, a power cut may still take the topic away; to give it up would do so at once.
  await syncDirectory(dirname(path)).catch(() => undefined);
  return true;
}

/**
 * Replaces what is stored of a topic, durably.
 * @throws Error with an errno code. The old content is put back then, as far as that can be done.
 */
export async function storeTopicChange(
  path: string,
  from: TopicSpec,
  to: TopicSpec,
): Promise<void> {
  const file = join(path, TOPIC_FILE);
  try {
    await writeJsonFileAndCopy(file, to);
  } catch (error) {
    // It may have its name already and only not be durable: a refused change must not show later.
    await writeJsonFileAndCopy(file, from).catch(() => undefined);
    throw error;
  }
}

/**
 * What is stored of the topic in directory `path`: in `topic.json` or, where that cannot be read, in its
 * copy.
 * @throws DataDirError `damaged`
 */
export async function loadTopicSpec(path: string): Promise<TopicSpec> {
  const file = join(path, TOPIC_FILE);
  const spec = await readTopicSpec(file);
  if (spec !== undefined) return spec;
  const copy = await readTopicSpec(join(path, TOPIC_COPY));
  if (copy !== undefined) return withPartitionsIn(path, copy);
  throw new DataDirError(
    'damaged',
    `${file} is missing or does not describe a topic; restore it from a backup`,
  );
}

/**
 * The same for a broker that starts: makes `topic.json` and its copy alike. Undefined, and reported, where
 * nothing tells what the topic is: the others must not wait for it.
 */
export async function loadOrReport(path: string, logger: Logger): Promise<TopicSpec | undefined> {
  try {
    const spec = await loadTopicSpec(path);
    const outcome = await healTopicFile(path, spec).catch((error: unknown) => {
      logger.warn({ err: error, path }, 'topic.json and its copy could not be made alike');
    });
    if (outcome === 'healed') {
      logger.warn({ topic: spec.name, path }, 'topic.json was made anew from what was left of it');
    }
    return spec;
  } catch (error) {
    if (!(error instanceof DataDirError)) throw error;
    logger.error(
      { err: error, path },
      `a topic is left out, its data stays as it is: ${error.message}`,
    );
    return undefined;
  }
}

/**
 * Writes `topic.json` and its copy anew where one is not what `spec` says: the other was lost or damaged,
 * or a crash came between the two.
 */
async function healTopicFile(path: string, spec: TopicSpec): Promise<'sound' | 'healed'> {
  return healJsonFile(join(path, TOPIC_FILE), spec);
}

/** What a topic's file, or its copy, says; undefined where that is not a topic. */
export async function readTopicSpec(file: string): Promise<TopicSpec | undefined> {
  try {
    return decodeSpec(await readJsonFile(file));
  } catch (error) {
    if (error instanceof DataDirError) return undefined;
    throw error;
  }
}

/** A copy may be from before partitions were added: those with a directory are there. */
async function withPartitionsIn(path: string, spec: TopicSpec): Promise<TopicSpec> {
  const indexes = (await readdir(path)).filter((name) => PARTITION_NAME.test(name)).map(Number);
  const partitions = indexes.reduce((most, index) => Math.max(most, index + 1), spec.partitions);
  return partitions === spec.partitions ? spec : { ...spec, partitions };
}

function decodeSpec(content: unknown): TopicSpec | undefined {
  if (typeof content !== 'object' || content === null) return undefined;
  const { name, partitions, config } = content as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string' || typeof partitions !== 'number') return undefined;
  if (typeof config !== 'object' || config === null) return undefined;
  const entries = Object.entries(config);
  if (!entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
    return undefined;
  }
  return { name, partitions, config: Object.fromEntries(entries) };
}
