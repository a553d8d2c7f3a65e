import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../storage/atomic-file.js';
import { DataDirError } from '../storage/errors.js';
import { readJsonFile, writeJsonFile } from '../storage/json-file.js';
import type { ConfigOverrides } from './topic-config.js';

const TOPIC_FILE = 'topic.json';
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
    await writeJsonFile(join(temporary, TOPIC_FILE), spec);
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    // The new name too: a topic whose creation was refused must not be there after a restart.
    for (const leftover of [temporary, path]) {
      await rm(leftover, { recursive: true, force: true }).catch(() => undefined);
    }
    throw error;
  }
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
    await writeJsonFile(file, to);
  } catch (error) {
    // It may have its name already and only not be durable: a refused change must not show later.
    await writeJsonFile(file, from).catch(() => undefined);
    throw error;
  }
}

/**
 * What is stored of the topic in directory `path`.
 * @throws DataDirError `damaged`
 */
export async function loadTopicSpec(path: string): Promise<TopicSpec> {
  const file = join(path, TOPIC_FILE);
  const spec = decodeSpec(await readJsonFile(file));
  if (spec !== undefined) return spec;
  throw new DataDirError(
    'damaged',
    `${file} is missing or does not describe a topic; restore it from a backup`,
  );
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
