import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { verifyDirectory } from '../../../broker/src/inspect/verify-directory.js';
import { readFrom } from '../../broker/storage/compaction/compacted-topic.js';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { contentOf } from './ledger.js';
import type { Given, GivenLog } from './ledger.js';
import { logName } from './world.js';
import type { World } from './world.js';

/**
 * What a crash was: after a kill all that was appended is there, after a power cut what was synced. A
 * while after a sync failed, a kill must not bring back what it was to cover.
 */
export type Crash = 'kill' | 'kill after a failed sync' | 'power cut';

const TORN_SLOT = /^slot \d is damaged/;

/** Which of the promises of before a crash the storage does not keep that was opened after it. */
export async function broken(world: World, given: Given, crash: Crash): Promise<string[]> {
  const found: string[] = [];
  const partitions = world.storage.topics.list().flatMap((topic) => topic.partitions);
  for (const partition of partitions) {
    if (partition.problem !== undefined) {
      found.push(`${partition.name} is offline: ${partition.problem.message}`);
      continue;
    }
    if (partition.topicName.startsWith('__')) continue; // what it holds is looked at below
    const log = given.logs.get(logName(partition));
    if (log !== undefined) found.push(...(await brokenLog(partition, log, crash)));
  }
  found.push(...brokenRegisters(world.registers(), given));
  return found;
}

async function brokenLog(partition: Partition, log: GivenLog, crash: Crash): Promise<string[]> {
  const found: string[] = [];
  const { name, startOffset } = partition;
  if (startOffset < log.startAtLeast) {
    found.push(
      `${name} begins at ${startOffset} although all before ${log.startAtLeast} was deleted`,
    );
  }
  if (startOffset > log.startAtMost) {
    found.push(`${name} begins at ${startOffset}, and nobody deleted beyond ${log.startAtMost}`);
  }
  if (partition.endOffset < log.visibleEnd) {
    found.push(`${name} goes on at ${partition.endOffset}, where ${log.visibleEnd} was seen`);
  }
  const records = await readFrom(partition, startOffset);
  const keys = new Map<string | null, number>();
  const there = new Set<number>();
  for (const record of records) {
    const { key, offset } = record;
    keys.set(key, offset);
    there.add(offset);
    const content = contentOf(record);
    const known = log.known.get(offset);
    if (known?.includes(content) === true) continue;
    const maySurvive = crash !== 'kill after a failed sync' || !log.syncFailed;
    if (offset >= log.visibleBefore && maySurvive && log.sent.has(content)) {
      // It was refused and is there: it has to stay.
      log.known.set(offset, [content]);
      continue;
    }
    found.push(`${name} has ${brief(content)} at ${offset}, not ${brief(known?.join(' or '))}`);
  }
  for (const [offset, { acks, content, key }] of log.promised) {
    if (there.has(offset) || offset < startOffset) continue;
    if (acks === 1 && (crash === 'power cut' || log.syncFailed)) continue;
    const compacted = partition.log?.options.cleanupPolicy === 'compact';
    if (compacted && (keys.get(key) ?? -1) > offset) continue;
    found.push(`${name} lost ${brief(content)} at ${offset}, acknowledged with acks=${acks}`);
  }
  return found;
}

function brokenRegisters(found: ReadonlyMap<string, string>, given: Given): string[] {
  return [...given.registers].flatMap(([register, allowed]) => {
    const value = found.get(register);
    if (allowed.includes(value)) return [];
    const expected = allowed.map((one) => one ?? 'nothing').join(' or ');
    return [`${register} is ${value ?? 'nothing'}, not ${expected}`];
  });
}

/**
 * Goes on: what is new gets offsets and ids that nobody had, and a repeat of what was acknowledged is
 * answered as it was.
 */
export async function goOn(world: World, given: Given, crash: Crash): Promise<string[]> {
  const found: string[] = [];
  const partitions = world.storage.topics
    .list()
    .filter(({ name }) => !name.startsWith('__'))
    .flatMap((topic) => topic.partitions);
  for (const partition of partitions) {
    const { index, name, topicName } = partition;
    const log = given.logs.get(logName(partition));
    for (const { acks, batch, offset } of log?.batches.values() ?? []) {
      const counts = acks === -1 || (crash !== 'power cut' && log?.syncFailed !== true);
      if (!counts || offset < partition.startOffset) continue;
      const again = await world.repeat(topicName, batch, index);
      if (again !== offset) found.push(`${name} stored a repeat of ${offset} at ${again}`);
    }
    const before = partition.endOffset;
    const value = `after ${String(before)}`;
    await world.append(topicName, { records: [{ key: 'after', value }] }, -1, index);
    if (partition.endOffset !== before + 1) found.push(`${name} takes no more`);
  }
  const id = await world.newProducer();
  if (id === undefined || id < given.nextProducerId) {
    found.push(`producer id ${String(id)} is given again, after ${given.nextProducerId - 1}`);
  }
  if (world.untyped.length > 0) found.push(`refused without a type: ${String(world.untyped[0])}`);
  return found;
}

/**
 * What `millrace-broker verify` calls damage, but for what the broker makes up for by itself: an index,
 * which is never synced, and one slot of a checkpoint, which a crash amid its write leaves torn.
 */
export async function damageIn(root: string): Promise<string[]> {
  const found: string[] = [];
  // Before there is one, the broker makes it; `verify` calls that damage.
  if (!existsSync(join(root, 'meta.json'))) return found;
  await verifyDirectory(root, {
    report: ({ kind, severity, path, problem }) => {
      if (severity !== 'damage' || kind === 'index' || TORN_SLOT.test(problem)) return;
      found.push(`verify: ${path.slice(root.length + 1)}: ${problem}`);
    },
  });
  return found;
}

const brief = (content = 'anything'): string =>
  content.length > 40 ? `${content.slice(0, 40)}…` : content;
