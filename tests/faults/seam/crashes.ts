import { makeTempDir } from '../../support/temp-dir.js';
import type { PersistKind } from '../../support/storage.js';
import { Given } from './ledger.js';
import type { Ledger } from './ledger.js';
import type { Life } from './lives.js';
import type { Loss } from './losses.js';
import { describe } from './operations.js';
import type { Operation } from './operations.js';
import { broken, damageIn, goOn } from './promises.js';
import type { Crash } from './promises.js';
import { recorder } from './recorder.js';
import type { Call, FaultPlan } from './recorder.js';
import { SimulatedDisk } from './simulated-disk.js';
import { differences, materialize, removeTree, treeAt } from './trees.js';
import { World } from './world.js';

/** What a storage did to its files, and what it promised meanwhile. */
export interface Recording {
  readonly kind: PersistKind;
  /** The disk before. */
  readonly start: SimulatedDisk;
  readonly operations: readonly Operation[];
  readonly ledger: Ledger;
  /** What held before. */
  readonly before: Given;
  /** What had gone wrong before. */
  readonly crashes: readonly Crash[];
}

/** Operations done, and what became of what they did; undefined: only the program ended. */
export interface CrashPoint {
  readonly operations: number;
  readonly loss: Loss | undefined;
}

export interface CrashResult {
  readonly problems: readonly string[];
  /** Of the storage that was opened on what was left; undefined where it did not open. */
  readonly next: Recording | undefined;
}

/** A topic that nothing happens to. */
const OTHER = 'other';

/** Lives a life on a disk of its own, with faults if `plan` says so. */
export async function record(
  life: Life,
  kind: PersistKind,
  random: () => number,
  plan: FaultPlan = () => undefined,
): Promise<{ recording: Recording; problems: string[]; refused: number }> {
  const directory = await makeTempDir();
  recorder.begin(directory.path);
  try {
    const world = await World.open(directory.path, kind);
    await world.createTopic(OTHER);
    const otherId = world.storage.topics.byName(OTHER)?.id ?? '';
    const append = (): Promise<void> =>
      world.append(OTHER, { records: [{ key: 'o', value: 'o' }] });
    await append();
    const hit = { other: false };
    recorder.inject((call) => {
      const fault = plan(call);
      if (fault === undefined) return undefined;
      if (call.path.includes(otherId)) hit.other = true;
      const log = failedLog(call);
      if (log !== undefined) world.ledger.note({ type: 'sync-failed', log });
      return fault;
    });
    await life(world, random);
    recorder.inject(() => undefined);
    const { refused } = world;
    await append();
    const problems = world.untyped.map((error) => `refused without a type: ${String(error)}`);
    if (world.refused > refused && !hit.other) problems.push(`${OTHER} takes no more`);
    await world.stop();
    const operations = [...recorder.operations];
    const disk = recorder.end();
    // What was not noted would not be tested.
    problems.push(...differences(disk.afterKill(), await treeAt(directory.path)));
    const start = new SimulatedDisk();
    const { ledger } = world;
    const recording = { kind, start, operations, ledger, before: new Given(), crashes: [] };
    return { recording, problems, refused };
  } finally {
    recorder.end();
    await directory.remove();
  }
}

const SYNC_OF_LOG = /^topics\/([0-9a-f]+)\/(\d+)(\/\d+\.log)?$/;
/** What a segment's last sync is made of. */
const SYNC_CALLS = new Set(['fsync', 'fdatasync', 'msync', 'ftruncate']);

/** The log whose sync fails with that call. */
function failedLog({ path, syscall }: Call): string | undefined {
  const [, topicId, partition] = SYNC_OF_LOG.exec(path) ?? [];
  return topicId !== undefined && SYNC_CALLS.has(syscall) ? `${topicId}-${partition}` : undefined;
}

/** Opens a storage on what a crash leaves, and names the promises that it breaks. */
export async function crashAt(recording: Recording, point: CrashPoint): Promise<CrashResult> {
  const { kind, operations, start } = recording;
  const disk = start.clone();
  for (const operation of operations.slice(0, point.operations)) disk.apply(operation);
  const { loss } = point;
  const tree = loss === undefined ? disk.afterKill() : disk.afterPowerCut(loss);
  const found = loss === undefined ? disk : SimulatedDisk.holding(tree);
  const crashes: readonly Crash[] = [
    ...recording.crashes,
    loss === undefined ? 'kill' : 'power cut',
  ];
  const atTheEnd = point.operations >= operations.length;
  const kill = atTheEnd ? 'kill after a failed sync' : 'kill';
  const crash = crashes.includes('power cut') ? 'power cut' : kill;
  const given = recording.ledger.given(point.operations, recording.before);
  const root = await materialize(tree);
  const problems = await damageIn(root);
  recorder.begin(root, found.clone());
  try {
    const world = await World.open(root, kind);
    problems.push(...(await broken(world, given, crash)), ...(await goOn(world, given, crash)));
    const done = [...recorder.operations];
    recorder.end();
    await world.abandon();
    if (problems.length === 0) problems.push(...(await damageIn(root)));
    const { ledger } = world;
    return {
      problems,
      next: { kind, start: found, operations: done, ledger, before: given, crashes },
    };
  } catch (error) {
    problems.push(
      `it does not open: ${error instanceof Error ? (error.stack ?? '') : String(error)}`,
    );
    return { problems, next: undefined };
  } finally {
    recorder.end();
    await removeTree(root);
  }
}

/** Where and how a crash was, for a message. */
export function whereOf(recording: Recording, { operations, loss }: CrashPoint): string {
  const last = recording.operations[Math.min(operations, recording.operations.length) - 1];
  const after = last === undefined ? 'nothing' : describe(last);
  const done = Math.min(operations, recording.operations.length);
  const how = loss === undefined ? 'a kill' : `a power cut (${loss.name})`;
  return `${how} after ${done} of ${recording.operations.length} operations, the last: ${after}`;
}
