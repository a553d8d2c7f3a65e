import { inspect as inspectValue } from 'node:util';
import { checkHistory } from '../checker/check-history.js';
import type { HistoryFindings } from '../checker/check-history.js';
import { explain } from '../checker/explain.js';
import { cells } from '../support/cells.js';
import { freePort } from '../support/free-port.js';
import { LoopDisk } from '../support/loop-disk.js';
import { CutLoad } from './cut-load.js';
import { PoweredBroker } from './powered-broker.js';

const DISK_BYTES = 192 * 2 ** 20;
/** Ways to serve among the cells, with each way to persist. */
const SERVES = 3;
/** Acknowledged since the broker is back, before the power goes again. */
const ACKNOWLEDGED_BEFORE = 30;
/** The power goes at a random moment of this. */
const LOAD_MAX_MS = 500;

export interface CutsOptions {
  readonly cuts: number;
  readonly random: () => number;
  /** A library for the broker that works during the cuts; the one that is read from in the end has none. */
  readonly preload?: string;
}

export interface CutsFindings extends HistoryFindings {
  /** What is wrong, in words. */
  readonly problems: readonly string[];
  /** Topics created, grown and deleted. */
  readonly topicChanges: number;
  /** Tails of logs that recovery cut. */
  readonly cutTails: number;
  /** Codes of deliveries that failed, and how often. */
  readonly failures: Readonly<Record<string, number>>;
}

/**
 * A new disk, a load on it, and power cuts at random moments, each followed by a start with other
 * strategies; then everything is read and checked.
 *
 * @param inspect is called when the broker has stopped, with where its data are.
 */
export async function cutAgainAndAgain(
  { cuts, preload, random }: CutsOptions,
  inspect: (findings: CutsFindings, dataDir: string) => Promise<void>,
): Promise<void> {
  const disk = await LoopDisk.make({ sizeBytes: DISK_BYTES, mountOptions: ['commit=60'] });
  const broker = new PoweredBroker(disk, `127.0.0.1:${await freePort(random)}`);
  const load = new CutLoad(broker.address, random, preload === undefined);
  let cutTails = 0;
  try {
    await broker.start(cellOf(0));
    await load.start();
    if (preload !== undefined) await goOnWith(preload, broker, load);
    for (let cut = 1; cut <= cuts; cut += 1) {
      const back = await cutOnce(broker, load, random);
      await broker.start(cellOf(cut), cut === cuts ? undefined : preload);
      back();
      cutTails += broker.log.split('recovery cut an un-synced tail').length - 1;
    }
    const problems = await finish(load);
    const exitCode = await broker.stop();
    if (exitCode !== 0) problems.push(`the broker ended with ${String(exitCode)}:\n${broker.log}`);
    const { failures, history, topicChanges } = load;
    const checked = checkHistory(history);
    problems.push(...checked.anomalies.map((anomaly) => explain(history, anomaly)));
    await inspect({ ...checked, problems, cutTails, failures, topicChanges }, broker.dataDir);
  } finally {
    await load.close();
    await broker.kill();
    await disk.remove();
  }
}

/** Other strategies each time, on the same data. */
function cellOf(round: number): readonly string[] {
  // Persisting changes each time, serving in turn.
  const serve = round % SERVES;
  return cells[(round % 2) * SERVES + serve] ?? [];
}

/** What there is until then is on the disk, all topics among it: only what comes now may be lost. */
async function goOnWith(preload: string, broker: PoweredBroker, load: CutLoad): Promise<void> {
  while (!load.committed || load.acknowledged < ACKNOWLEDGED_BEFORE) await pause(5);
  await broker.stop();
  await broker.start(cellOf(0), preload);
}

/** @returns what is to be called when the broker is there again. */
async function cutOnce(
  broker: PoweredBroker,
  load: CutLoad,
  random: () => number,
): Promise<() => void> {
  const before = load.acknowledged;
  while (load.acknowledged < before + ACKNOWLEDGED_BEFORE) await pause(5);
  await pause(random() * LOAD_MAX_MS);
  const seed = Math.floor(random() * 2 ** 31);
  const back = load.history.outage('power-cut');
  await broker.cut(seed, random() < 0.5);
  return back;
}

async function finish(load: CutLoad): Promise<string[]> {
  try {
    return await load.finish();
  } catch (error) {
    return [`what is left cannot be read: ${inspectValue(error)}`];
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
