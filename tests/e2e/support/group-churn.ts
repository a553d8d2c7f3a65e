import { setTimeout as sleep } from 'node:timers/promises';
import type { AssignorName, GroupDescription, GroupOffset, Millrace } from '@millrace/client';
import { waitFor } from '../../support/wait-for.js';
import { MemberProcess, type MemberHome, type MemberSpec } from './member-process.js';

/** All messages may be left to the end, where the machine is slow. */
const DRAINED_WITHIN_MS = 200_000;
/** Members that live in one process and come and go cleanly. */
const MOST_CLEAN_MEMBERS = 4;
/** Longest pause of a handler. */
const MOST_DELAY_MS = 4;
/** A process that was stopped stays so a little longer than its session, by chance. */
const MOST_EXTRA_STOP_MS = 300;

/** How a group is to be churned. */
export interface ChurnPlan {
  readonly assignor: AssignorName;
  readonly sessionTimeoutMs: number;
  /** Processes that are killed and stopped; 0: members only join and leave. */
  readonly victims: number;
  /** Kills, stops, leaves and joins. */
  readonly rebalances: number;
  readonly partitions: number;
}

export type ChurnEvent = 'kill' | 'stop' | 'leave' | 'join';

interface Victim {
  readonly process: MemberProcess;
  readonly name: string;
}

/** Makes one group rebalance again and again, one event after the other, as a seed says. */
export class GroupChurn {
  readonly counts: Record<ChurnEvent, number> = { kill: 0, stop: 0, leave: 0, join: 0 };
  readonly #home: MemberHome;
  readonly #plan: ChurnPlan;
  readonly #client: Millrace;
  readonly #random: () => number;
  readonly #onEvent: () => void;
  readonly #host: MemberProcess;
  readonly #clean: string[] = [];
  readonly #victims: Victim[] = [];
  readonly #processes: MemberProcess[] = [];
  #named = 0;

  constructor(
    home: MemberHome,
    plan: ChurnPlan,
    client: Millrace,
    random: () => number,
    onEvent: () => void,
  ) {
    this.#home = home;
    this.#plan = plan;
    this.#client = client;
    this.#random = random;
    this.#onEvent = onEvent;
    this.#host = this.#fork();
  }

  /** Brings the first members in. */
  async start(): Promise<void> {
    await this.#enter(this.#host);
    await this.#enter(this.#host);
    for (let i = 0; i < this.#plan.victims; i += 1) await this.#addVictim(this.#fork());
  }

  async run(): Promise<void> {
    while (this.#events < this.#plan.rebalances) {
      await this.#act(this.#choose());
      // Now and then the next one comes in the middle of the rebalance.
      if (this.#random() < 0.75) await this.#settled();
    }
    await this.#settled();
  }

  /** Until everything is handled and committed. */
  async drained(): Promise<void> {
    const { group } = this.#home;
    let behind: readonly GroupOffset[] = [];
    await waitFor(
      `group '${group}' has handled and committed all`,
      async () => {
        const offsets = await this.#client.admin.groupOffsets(group);
        behind = offsets.filter(({ lag }) => lag !== 0);
        return behind.length === 0;
      },
      () => `, behind: ${JSON.stringify(behind)}${this.#lastTold()}`,
      DRAINED_WITHIN_MS,
    );
  }

  /** All members leave, and their processes end. */
  async end(): Promise<void> {
    for (const process of this.#processes) await process.end();
  }

  async kill(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.kill()));
  }

  describe(): Promise<GroupDescription> {
    return this.#client.admin.describeGroup(this.#home.group);
  }

  harmedAtMs(member: string): readonly number[] {
    return this.#processes.find(({ names }) => names.includes(member))?.harmedAtMs ?? [];
  }

  get #events(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  #choose(): ChurnEvent {
    const chance = this.#random();
    if (this.#victims.length > 0 && chance < 0.25) return 'kill';
    if (this.#victims.length > 0 && chance < 0.45) return 'stop';
    const { length } = this.#clean;
    if (length <= 1) return 'join';
    if (length >= MOST_CLEAN_MEMBERS) return 'leave';
    return this.#random() < 0.5 ? 'join' : 'leave';
  }

  async #act(event: ChurnEvent): Promise<void> {
    if (event === 'join') await this.#join();
    else if (event === 'leave') await this.#leave();
    else if (event === 'kill') await this.#kill();
    else await this.#stop();
  }

  async #join(): Promise<void> {
    this.#count('join');
    await this.#enter(this.#host);
  }

  async #leave(): Promise<void> {
    this.#count('leave');
    const [name] = this.#clean.splice(Math.floor(this.#random() * this.#clean.length), 1);
    if (name !== undefined) await this.#host.leave(name);
  }

  /** Another process takes the place of the one that died: a join, and a rebalance of its own. */
  async #kill(): Promise<void> {
    this.#count('kill');
    const [victim] = this.#victims.splice(Math.floor(this.#random() * this.#victims.length), 1);
    if (victim === undefined) return;
    const successor = this.#fork();
    await victim.process.kill();
    if (this.#random() < 0.5) await this.#settled();
    this.#count('join');
    await this.#addVictim(successor);
  }

  /** Stopped for longer than its session, it finds itself thrown out, and joins again. */
  async #stop(): Promise<void> {
    this.#count('stop');
    const victim = this.#victims[Math.floor(this.#random() * this.#victims.length)];
    if (victim === undefined) return;
    const { name, process } = victim;
    process.suspend();
    // What it told last may come only now; thrown out already, it may have joined again.
    const from = process.told.length;
    const before = process.told.findLast((told) => told.name === name)?.memberId;
    if (this.#random() < 0.3) await this.#join();
    await this.#until(`without ${name}`, ({ members }) =>
      members.every(({ memberId }) => memberId !== before),
    );
    await sleep(this.#random() * MOST_EXTRA_STOP_MS);
    process.goOn();
    await process.until(
      `${name} has joined again, once ${before}`,
      (told) => told.name === name && told.type === 'joined' && told.memberId !== before,
      from,
    );
  }

  #settled(): Promise<void> {
    const expected = this.#clean.length + this.#victims.length;
    return this.#until(
      `stable with ${expected} members`,
      ({ members, state }) => state === 'Stable' && members.length === expected,
    );
  }

  async #until(how: string, condition: (group: GroupDescription) => boolean): Promise<void> {
    let group: GroupDescription | undefined;
    await waitFor(
      `group '${this.#home.group}' is ${how}`,
      async () => condition((group = await this.describe())),
      () => `: ${JSON.stringify(group)}${this.#lastTold()}`,
    );
  }

  /** For the message of what hangs. */
  #lastTold(): string {
    const lines = this.#processes.map(
      ({ names, told }) => `${names.join()}: ${JSON.stringify(told.slice(-4))}`,
    );
    return `; its members told last: ${lines.join('; ')}`;
  }

  async #addVictim(process: MemberProcess): Promise<void> {
    const name = this.#nextName();
    this.#victims.push({ process, name });
    await process.join(this.#spec(name));
  }

  async #enter(process: MemberProcess): Promise<void> {
    const name = this.#nextName();
    this.#clean.push(name);
    await process.join(this.#spec(name));
  }

  #spec(name: string): MemberSpec {
    const { assignor, partitions, sessionTimeoutMs } = this.#plan;
    return {
      name,
      partitions,
      batches: this.#random() < 0.5,
      delayMs: Math.floor(this.#random() * (MOST_DELAY_MS + 1)),
      options: {
        assignors: [assignor],
        sessionTimeoutMs,
        rebalanceTimeoutMs: 10_000,
        autoCommit: this.#random() < 0.6,
        autoCommitIntervalMs: 50 + Math.floor(this.#random() * 400),
      },
    };
  }

  #nextName(): string {
    this.#named += 1;
    return `${this.#home.group}-${this.#named}`;
  }

  #fork(): MemberProcess {
    const process = new MemberProcess(this.#home);
    this.#processes.push(process);
    return process;
  }

  #count(event: ChurnEvent): void {
    this.counts[event] += 1;
    this.#onEvent();
  }
}
