import { costBetween, scrape } from '../broker/metrics.js';
import { withConnection } from '../cli/measured-load.js';
import type { BrokerCost, Measurement } from '../results/schema.js';
import type { PhaseAt } from '../rounds/contender.js';
import type { OwnPhase } from '../rounds/run-rounds.js';
import { fetchFrames, makeTopic, produceFrames, topicIdOf } from './frames.js';
import { bare } from './loops.js';
import {
  APPEND_DEPTH,
  appendedFlow,
  drive,
  driveAppends,
  READ_DEPTH,
  readFlow,
  regionsOf,
  warmForAppends,
} from './plan.js';
import type { ReferencePlan } from './plan.js';

/** A broker by the plain sender and receiver that the loops have: in, and then out what went in. */
export function referencePhases(plan: ReferencePlan): readonly OwnPhase[] {
  return [
    { phase: 'reference-in', run: (at, signal) => appendTo(at, plan, signal) },
    { phase: 'reference-out', run: (at, signal) => readFrom(at, plan, signal) },
  ];
}

const topicOf = ({ topic }: PhaseAt): string => `${topic}-reference`;

async function appendTo(
  at: PhaseAt,
  plan: ReferencePlan,
  signal: AbortSignal,
): Promise<Measurement | undefined> {
  const { address } = at.target;
  const { appends, batch } = plan;
  const frames = produceFrames(await makeTopic(address, topicOf(at)), batch, APPEND_DEPTH);
  await warmForAppends(plan, signal);
  const { cost, result } = await costing(at, () => driveAppends(plan, address, frames, signal));
  if (result === undefined) return undefined;
  // The sender reads no answers: whether everything was taken is asked here.
  const there = await withConnection(at.target, (c) => c.messagesIn(topicOf(at)));
  const sent = (appends.warm + appends.count) * batch.records;
  if (there !== sent) {
    throw new Error(`of ${sent} messages of the plain sender, the broker took ${there}`);
  }
  return { ...bare, phase: 'reference-in', produced: appendedFlow(plan, result), cost };
}

async function readFrom(
  at: PhaseAt,
  plan: ReferencePlan,
  signal: AbortSignal,
): Promise<Measurement | undefined> {
  const { address } = at.target;
  const { batch, reads, region } = plan;
  const topicId = await topicIdOf(address, topicOf(at));
  const frames = fetchFrames(topicId, region, regionsOf(plan));
  const { cost, result } = await costing(at, () =>
    drive(plan, address, frames, READ_DEPTH, reads, signal),
  );
  if (result === undefined) return undefined;
  if (result.smallestAnswerBytes < batch.bytes.length) {
    throw new Error(`the broker answered the plain receiver with less than a batch of ${topicId}`);
  }
  return { ...bare, phase: 'reference-out', consumed: readFlow(plan, result), cost };
}

async function costing<Result>(
  { httpAddress }: PhaseAt,
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly cost: BrokerCost | undefined }> {
  if (httpAddress === undefined) return { result: await work(), cost: undefined };
  const before = await scrape(httpAddress);
  const result = await work();
  return { result, cost: costBetween(before, await scrape(httpAddress)) };
}
