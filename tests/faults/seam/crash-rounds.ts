import { seededRandom } from '../../support/seed.js';
import type { PersistKind } from '../../support/storage.js';
import { crashAt, record, whereOf } from './crashes.js';
import type { CrashPoint, Recording } from './crashes.js';
import { describeFault, OneFault } from './faults.js';
import { lives } from './lives.js';
import type { Life } from './lives.js';
import { losses, randomLoss } from './losses.js';
import type { Loss } from './losses.js';
import type { Operation } from './operations.js';

/** At most so many different problems are told. */
const MAX_TOLD = 20;

/** Problems by what they are, the first of each with where it was. */
export class Problems {
  readonly #told = new Map<string, string>();

  add(where: string, problems: readonly string[]): void {
    for (const problem of problems) {
      const kind = problem
        .replace(/[0-9a-f]{32}/g, 'id')
        .replace(/\d+/g, 'n')
        .slice(0, 200);
      if (!this.#told.has(kind)) this.#told.set(kind, `${where}:\n    ${problem}`);
    }
  }

  /** Empty when all is well. */
  get text(): string {
    return [...this.#told.values()].slice(0, MAX_TOLD).join('\n');
  }
}

/** Random choices of one test. */
class Dice {
  constructor(readonly random: () => number) {}

  /** Of 0 to `below`, that excluded. */
  pick(below: number): number {
    return Math.floor(this.random() * below);
  }

  /** A kill as often as one of the power cuts. */
  loss(): Loss | undefined {
    if (this.random() < 0.3) return undefined;
    return [...losses, randomLoss(this.random)][this.pick(losses.length + 1)];
  }

  point({ operations }: Recording): CrashPoint {
    return { operations: this.pick(operations.length + 1), loss: this.loss() };
  }

  readonly anywhere = (recording: Recording): readonly CrashPoint[] => [this.point(recording)];
}

function lifeOf(name: string): Life {
  const life = lives[name];
  if (life === undefined) throw new Error(`there is no life "${name}"`);
  return life;
}

/** After everything, and nothing that was not synced is there. */
const atTheEnd: CrashPoint = { operations: Infinity, loss: losses[0] };

/** A crash, and then others of what was opened after it, each from there. */
interface Crashes {
  readonly first: CrashPoint;
  readonly then: (next: Recording) => readonly CrashPoint[];
  /** What happened before, for a message. */
  readonly before?: string;
}

async function crashTwice(
  recording: Recording,
  { before = '', first, then }: Crashes,
  problems: Problems,
): Promise<void> {
  const where = before + whereOf(recording, first);
  const { next, problems: found } = await crashAt(recording, first);
  problems.add(where, found);
  if (next === undefined) return;
  for (const second of then(next)) {
    const { problems: lost } = await crashAt(next, second);
    problems.add(`${where},\n  then ${whereOf(next, second)}`, lost);
  }
}

/**
 * Crashes a life at `points` points, and what was opened on what that left at a point of its own.
 * @returns problems, as text
 */
export async function crashAround(
  name: string,
  kind: PersistKind,
  points: number,
  random: () => number,
): Promise<string> {
  const dice = new Dice(random);
  const problems = new Problems();
  const { recording, problems: own, refused } = await record(lifeOf(name), kind, random);
  problems.add('without a crash', own);
  if (refused > 0) problems.add('without a fault', [`${refused} operations were refused`]);
  for (let i = 0; i < points; i += 1) {
    await crashTwice(recording, { first: dice.point(recording), then: dice.anywhere }, problems);
  }
  return problems.text;
}

/** As soon as something was promised, each time. */
const atEachPromise = ({ ledger }: Recording): CrashPoint[] =>
  ledger.moments().map((operations) => ({ operations, loss: losses[0] }));

const NAMING = new Set<Operation['type']>(['make', 'move', 'link', 'remove']);

/**
 * Kills a life right after operations on names, and cuts what was opened on that from power as soon as it promised
 * something: what was not synced is lost then, also of before the kill.
 * @param count so many of them, at random, or all
 * @returns problems, as text
 */
export async function killAtNames(
  name: string,
  kind: PersistKind,
  count: number,
  random: () => number,
): Promise<string> {
  const dice = new Dice(random);
  const problems = new Problems();
  const { recording } = await record(lifeOf(name), kind, random);
  const named = recording.operations.flatMap(({ type }, i) => (NAMING.has(type) ? [i + 1] : []));
  while (named.length > count) named.splice(dice.pick(named.length), 1);
  for (const operations of named) {
    const first = { operations, loss: undefined };
    await crashTwice(recording, { first, then: atEachPromise }, problems);
  }
  return problems.text;
}

/** How many faults were met, by the call. */
export type FaultCounts = Record<string, number>;

/**
 * Lives a life `count` times, with one fault each time at another call; then kills it at the end and as the
 * fault was met, and crashes it somewhere. After a kill a storage goes on with what the page cache shows,
 * and is cut from power in the end: what was only there is lost then.
 * @returns problems, as text
 */
export async function failAround(
  name: string,
  kind: PersistKind,
  count: number,
  random: () => number,
  counts: FaultCounts,
): Promise<string> {
  const dice = new Dice(random);
  const problems = new Problems();
  const life = lifeOf(name);
  const seed = dice.pick(2 ** 32);
  const counting = new OneFault(Infinity, random);
  await record(life, kind, seededRandom(seed), counting.plan);
  for (let i = 0; i < count; i += 1) {
    const fault = new OneFault(dice.pick(counting.calls), random);
    const { recording, problems: own } = await record(life, kind, seededRandom(seed), fault.plan);
    const { hit, metAfter = Infinity } = fault;
    if (hit !== undefined) counts[hit.syscall] = (counts[hit.syscall] ?? 0) + 1;
    const what = describeFault(hit);
    problems.add(what, own);
    const before = `${what},\n  then `;
    for (const operations of [Infinity, metAfter + dice.pick(3)]) {
      const crashes = { before, first: { operations, loss: undefined }, then: () => [atTheEnd] };
      await crashTwice(recording, crashes, problems);
    }
    await crashTwice(
      recording,
      { before, first: dice.point(recording), then: dice.anywhere },
      problems,
    );
  }
  return problems.text;
}
