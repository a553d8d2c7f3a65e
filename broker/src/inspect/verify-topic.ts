import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DataDirError, errnoOf } from '../storage/errors.js';
import { parseLogFileName } from '../storage/segment-name.js';
import { DELETED_SUFFIX, TOPIC_ID } from '../topics/topic-registry.js';
import { readJsonFile } from '../storage/json-file.js';
import {
  loadTopicSpec,
  NEW_SUFFIX,
  PARTITION_NAME,
  TOPIC_COPY,
  TOPIC_FILE,
} from '../topics/topic-file.js';
import type { TopicSpec } from '../topics/topic-file.js';
import type { Report } from './findings.js';
import { tryRead } from './partition-metadata.js';
import type { VerifyOptions } from './verify-directory.js';
import { verifyPartition } from './verify-partition.js';

/** What the partitions of a topic hold together. */
export interface TopicTally {
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: number;
  readonly segments: number;
  /** Data, without room that was allocated ahead of it. */
  readonly bytes: number;
  readonly batches: number;
  readonly records: number;
}

/** Checks the topics in `directory`, by name. */
export async function verifyTopics(
  directory: string,
  cleanStop: boolean,
  options: VerifyOptions,
): Promise<readonly TopicTally[]> {
  const found = await findTopics(directory, options.report);
  const tallies: TopicTally[] = [];
  for (const [name, topics] of found) {
    if (options.topic !== undefined && options.topic !== name) continue;
    reportTwins(name, topics, options.report);
    for (const { id, path, spec } of topics) {
      tallies.push(await verifyTopic(id, path, spec, cleanStop, options));
    }
  }
  return tallies;
}

interface FoundTopic {
  readonly id: string;
  readonly path: string;
  readonly spec: TopicSpec;
}

/** The topics by name, sorted. What cannot be read has none, and is reported. */
async function findTopics(
  directory: string,
  report: Report,
): Promise<ReadonlyMap<string, readonly FoundTopic[]>> {
  const found = new Map<string, FoundTopic[]>();
  for (const id of await namesOf(directory, report)) {
    const path = join(directory, id);
    if (!TOPIC_ID.test(id)) {
      reportOther(path, report);
      continue;
    }
    const spec = await readSpec(path, report);
    if (spec === undefined) continue;
    const topics = found.get(spec.name);
    if (topics === undefined) found.set(spec.name, [{ id, path, spec }]);
    else topics.push({ id, path, spec });
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function readSpec(path: string, report: Report): Promise<TopicSpec | undefined> {
  const file = join(path, TOPIC_FILE);
  const spec = await loadTopicSpec(path).catch((error: unknown) => {
    if (error instanceof DataDirError) return undefined;
    throw error;
  });
  const advice =
    spec === undefined
      ? 'restore it from a backup: until then the broker leaves the topic out'
      : `the next start makes it anew from ${TOPIC_COPY}`;
  const main = await tryRead('topic-file', file, report, advice, async () => {
    const content = await readJsonFile(file);
    if (content !== undefined) return true;
    throw new DataDirError('damaged', `${file} is missing or does not describe a topic`);
  });
  if (main === undefined || spec !== undefined) return spec;
  return tryRead('topic-file', file, report, advice, () => loadTopicSpec(path));
}

async function namesOf(directory: string, report: Report): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    const problem = 'the directory of the topics is missing';
    const advice = 'restore it from a backup';
    report({ severity: 'damage', kind: 'topic-file', path: directory, problem, advice });
    return [];
  }
}

function reportOther(path: string, report: Report): void {
  const unfinished = path.endsWith(NEW_SUFFIX) || path.endsWith(DELETED_SUFFIX);
  report({
    ...{ severity: 'note', kind: 'leftover', path },
    problem: unfinished ? 'what is left of making or deleting a topic' : 'no directory of a topic',
    advice: unfinished
      ? 'the next start removes it'
      : 'the broker passes over it; move it away if you do not know it',
  });
}

function reportTwins(name: string, topics: readonly FoundTopic[], report: Report): void {
  for (const { path } of topics.slice(1)) {
    report({
      ...{ severity: 'damage', kind: 'topic-file', path: join(path, 'topic.json') },
      problem: `${topics[0]?.path ?? ''} holds topic ${name} too`,
      advice: 'move the one that you do not want away: no broker starts with both',
    });
  }
}

async function verifyTopic(
  id: string,
  path: string,
  spec: TopicSpec,
  cleanStop: boolean,
  options: VerifyOptions,
): Promise<TopicTally> {
  const { report, onProgress } = options;
  await reportOthersIn(path, spec.partitions, report);
  let sum = { segments: 0, bytes: 0, batches: 0, records: 0 };
  for (let index = 0; index < spec.partitions; index += 1) {
    const partition = `${spec.name}-${index}`;
    const directory = join(path, String(index));
    const checked = await verifyPartition(directory, cleanStop, report, (bytes) =>
      onProgress?.({ partition, bytes }),
    );
    options.onPartition?.({ name: partition, directory, ...checked });
    const { tally } = checked;
    sum = {
      segments: sum.segments + tally.segments,
      bytes: sum.bytes + tally.bytes,
      batches: sum.batches + tally.batches,
      records: sum.records + tally.records,
    };
    onProgress?.({ partition, bytes: 0 });
  }
  return { topic: spec.name, topicId: id, partitions: spec.partitions, ...sum };
}

/** What is beside the topic's partitions. */
async function reportOthersIn(path: string, partitions: number, report: Report): Promise<void> {
  for (const name of (await readdir(path)).sort()) {
    const index = PARTITION_NAME.test(name) ? Number(name) : undefined;
    if (name === TOPIC_FILE || name === TOPIC_COPY || (index !== undefined && index < partitions))
      continue;
    const other = join(path, name);
    const files = index === undefined ? [] : await readdir(other).catch(() => []);
    const hasData = files.some((file) => parseLogFileName(file) !== undefined);
    report({
      severity: hasData ? 'damage' : 'note',
      kind: hasData ? 'partition-directory' : 'leftover',
      path: other,
      problem:
        index === undefined
          ? 'no partition and no topic.json'
          : `topic.json says that there are only ${partitions} partitions`,
      advice: hasData
        ? 'the broker does not read it: restore the topic.json that belongs to it from a backup'
        : 'the broker passes over it; move it away if you do not know it',
    });
  }
}
