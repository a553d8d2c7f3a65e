import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { testSeed } from '../../support/seed.js';
import { settled } from './support/fake-clock.js';
import { GroupInvariants } from './support/group-invariants.js';
import { ModelConsumer, SHARED } from './support/model-consumer.js';
import type { LeaderStyle } from './support/model-consumer.js';
import { REBALANCE_MS, SESSION_MS, TestGroup } from './support/test-group.js';

const CONSUMERS = 4;
/** The first two are static members. */
const STATIC = 2;
const SECOND_MS = 1_000;
/**
 * Within this time a group comes to rest: the sessions of those that are gone end, one rebalance
 * after the other. Far less than a rebalance timeout: no living member waits for somebody who is none.
 */
const REST_SECONDS = (2 * SESSION_MS) / SECOND_MS + 5;

type Command =
  | { readonly do: 'step'; who: number; style: LeaderStyle }
  | { readonly do: 'consume'; who: number; messages: number }
  | { readonly do: 'intrude'; who: number; partition: number; back: number }
  | { readonly do: 'rejoin' | 'leave' | 'die' | 'start' | 'disconnect'; who: number }
  | { readonly do: 'pass'; ms: number }
  | { readonly do: 'live'; seconds: number }
  | { readonly do: 'fail'; writes: number; stored: boolean }
  | { readonly do: 'restart'; how: 'close' | 'crash' }
  | { readonly do: 'hold' | 'release' };

const who = fc.nat({ max: CONSUMERS - 1 });
const style = fc.constantFrom<LeaderStyle>('fair', 'fair', 'fair', 'partly', 'twice', 'stranger');
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ do: fc.constant('step' as const), who, style }) },
  {
    weight: 8,
    arbitrary: fc.record({
      ...{ do: fc.constant('consume' as const), who },
      messages: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      ...{ do: fc.constant('intrude' as const), who },
      ...{ partition: fc.nat({ max: SHARED - 1 }), back: fc.nat({ max: 2 }) },
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constantFrom('rejoin', 'leave', 'die', 'start', 'start', 'start', 'disconnect'),
      who,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, SECOND_MS, SESSION_MS / 2, SESSION_MS, REBALANCE_MS),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('live' as const),
      seconds: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      ...{ writes: fc.integer({ min: 1, max: 2 }), stored: fc.boolean() },
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('restart' as const),
      how: fc.constantFrom('close', 'crash'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('hold', 'release', 'release') }) },
);

/** A group, its consumers, and all that can happen to them. */
class World {
  readonly group: TestGroup;
  readonly invariants = new GroupInvariants();
  readonly consumers: ModelConsumer[];
  /** Processes that others have taken the place of; they may still talk. */
  readonly former: ModelConsumer[] = [];

  constructor(initialDelayMs: number) {
    this.group = new TestGroup({ groupInitialRebalanceDelayMs: initialDelayMs });
    this.#watchStore();
    this.consumers = Array.from({ length: CONSUMERS }, (_, index) => this.#newConsumer(index));
  }

  async run(command: Command): Promise<void> {
    if ('who' in command) this.#act(command);
    else await this.#happen(command);
    await settled();
    const { generation } = this.group.described;
    if (generation >= 0) this.invariants.sawGeneration(generation);
    this.invariants.check();
  }

  /** Nothing goes wrong any more: in time the group is whole, and nobody waits. */
  async comeToRest(): Promise<void> {
    await this.run({ do: 'release' });
    this.group.store.failures = 0;
    // One more rebalance: the last leader may have kept partitions from others.
    if (this.consumers.some(({ alive }) => alive))
      this.consumers.push(this.#newConsumer(CONSUMERS));
    for (let second = 0; second < REST_SECONDS && !this.#rests; second += 1) await this.#live(1);
    const all = [...this.former, ...this.consumers];
    const living = all.filter(({ alive }) => alive);
    const { members, state } = this.group.described;
    expect(this.group.coordinator.stats).toMatchObject({ members: living.length });
    if (living.length === 0) expect(['Empty', 'Dead']).toContain(state);
    else expect(state).toBe('Stable');
    expect(members.map(({ memberId }) => memberId).sort()).toEqual(
      living.map(({ memberId }) => memberId).sort(),
    );
    expect(living.flatMap(({ owned }) => [...owned.keys()]).sort()).toEqual(
      living.length === 0 ? [] : Array.from({ length: SHARED }, (_, index) => index),
    );
    expect(all.flatMap(({ waiting }) => [...waiting])).toEqual([]);
    // Whoever goes takes along what was counted of it, and ids that nobody wants run out.
    for (const consumer of living) consumer.leave();
    await this.group.clock.pass(SESSION_MS);
    const nothing = { members: 0, memberBytes: 0, pendingMembers: 0 };
    expect(this.group.coordinator.stats).toMatchObject(nothing);
    this.group.coordinator.close();
    expect(this.group.clock.pendingTimers).toBe(0);
  }

  /** Every live consumer has its share, and those that are dead have been noticed. */
  get #rests(): boolean {
    const living = [...this.former, ...this.consumers].filter(({ alive }) => alive);
    const { members: described, state } = this.group.described;
    const members = new Set(described.map(({ memberId }) => memberId));
    return (
      state !== 'PreparingRebalance' &&
      members.size === living.length &&
      living.every(({ memberId, phase }) => phase === 'active' && members.has(memberId))
    );
  }

  #act(command: Extract<Command, { who: number }>): void {
    const consumer = this.consumers[command.who];
    if (consumer === undefined) return;
    if (command.do === 'step') consumer.step(command.style);
    else if (command.do === 'consume') consumer.consume(command.messages);
    else if (command.do === 'intrude') consumer.intrude(command.partition, command.back);
    else if (command.do === 'start') this.#start(command.who, consumer);
    else consumer[command.do]();
  }

  async #happen(command: Exclude<Command, { who: number }>): Promise<void> {
    const { clock, store } = this.group;
    if (command.do === 'pass') await clock.pass(command.ms);
    else if (command.do === 'live') await this.#live(command.seconds);
    else if (command.do === 'restart') await this.#restart(command.how);
    else if (command.do === 'fail') {
      store.failures += command.writes;
      store.failuresAreStored = command.stored;
    } else store[command.do]();
  }

  /** All live consumers do what they do by themselves, those of former processes included. */
  async #live(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      for (const consumer of [...this.former, ...this.consumers]) {
        // An answer may be followed by the next request within the same second.
        for (let step = 0; step < 3; step += 1) {
          consumer.step();
          await settled();
        }
        consumer.consume(1);
      }
      // Somebody who never comes back with the id: no rebalance waits for that.
      this.group.join();
      await this.group.clock.pass(SECOND_MS);
    }
  }

  async #restart(how: 'close' | 'crash'): Promise<void> {
    const before = this.group.store;
    if (how === 'close') {
      // An orderly stop lets the store come to its end.
      before.release();
      await settled();
    }
    this.group.restart(how);
    before.onCommitted = () => undefined;
    before.release();
    this.#watchStore();
  }

  /** A new process, also where the old one of a static member still runs. */
  #start(index: number, consumer: ModelConsumer): void {
    if (consumer.alive && consumer.groupInstanceId === null) return;
    this.former.push(consumer);
    this.consumers[index] = this.#newConsumer(index);
  }

  #newConsumer(index: number): ModelConsumer {
    const instanceId = index < STATIC ? `till-${index}` : null;
    return new ModelConsumer(this.group, this.invariants, instanceId);
  }

  #watchStore(): void {
    this.group.store.onCommitted = (_, rows) => {
      this.invariants.sawCommitted(rows);
    };
  }
}

test('no partition has two owners, nothing goes back and nobody is stuck, ever', async () => {
  const seed = testSeed();
  const seen = { rebalances: 0, commits: 0, refusedIntruders: 0 };
  const story = fc.array(command, { minLength: 20, maxLength: 120, size: 'max' });
  await fc.assert(
    fc.asyncProperty(story, fc.constantFrom(0, 0, 2 * SECOND_MS), async (commands, delayMs) => {
      const world = new World(delayMs);
      for (const each of commands) await world.run(each);
      await world.comeToRest();
      seen.rebalances += world.invariants.rebalances;
      seen.commits += world.invariants.commits;
      seen.refusedIntruders += world.invariants.refusedIntruders;
    }),
    { seed, numRuns: 250 },
  );
  process.stdout.write(`coordinator model: ${JSON.stringify(seen)}\n`);
  expect(seen.rebalances).toBeGreaterThan(100);
  expect(seen.refusedIntruders).toBeGreaterThan(50);
});
