import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { GroupConsumerOptions } from '@millrace/client';
import { waitFor } from '../../support/wait-for.js';

const script = fileURLToPath(new URL('group-member.js', import.meta.url));

/** Less than the time limit of a test, which would end it without a word. */
const HANGS_AFTER_MS = 50_000;

/** Where a member lives, and where its log goes. */
export interface MemberHome {
  readonly address: string;
  readonly group: string;
  readonly topic: string;
  readonly directory: string;
}

/** One member. */
export interface MemberSpec {
  readonly name: string;
  readonly options: Omit<GroupConsumerOptions, 'group' | 'topics' | 'signal'>;
  /** How many partitions the topic has: a message's number says where it must be. */
  readonly partitions: number;
  /** Takes batches instead of messages. */
  readonly batches: boolean;
  /** How long handling takes, per batch or some messages. */
  readonly delayMs: number;
}

/** What a member tells. */
export interface MemberTold {
  readonly name: string;
  readonly type:
    'ready' | 'joined' | 'assigned' | 'revoked' | 'lost' | 'failed' | 'left' | 'unblocked';
  readonly memberId: string;
  readonly generation: number;
  /** With `assigned`: partitions and where reading begins. */
  readonly starts?: readonly (readonly [partition: number, offset: number])[];
  readonly partitions?: readonly number[];
  /** With `failed`: the error's class and code. */
  readonly error?: string;
  readonly code?: string;
  readonly message?: string;
}

/** A process with members of a group, over the built client. */
export class MemberProcess {
  readonly #child: ChildProcess;
  readonly #told: MemberTold[] = [];
  #exited = false;
  /** When it was stopped or killed, in Unix ms. */
  readonly harmedAtMs: number[] = [];
  /** Everyone who ever lived in it. */
  readonly names: string[] = [];

  constructor({ address, group, topic, directory }: MemberHome) {
    this.#child = fork(script, [address, group, topic, directory], { execArgv: [] });
    this.#child.on('message', (message: MemberTold) => this.#told.push(message));
    this.#child.on('exit', () => (this.#exited = true));
  }

  get told(): readonly MemberTold[] {
    return this.#told;
  }

  /** The last that the member told of this kind. */
  last(name: string, type: MemberTold['type']): MemberTold | undefined {
    return this.#told.findLast((told) => told.name === name && told.type === type);
  }

  async join(spec: MemberSpec): Promise<MemberTold> {
    this.names.push(spec.name);
    this.#child.send({ join: spec });
    const { name: joining } = spec;
    return await this.until(
      `${joining} joins`,
      ({ name, type }) => name === joining && type === 'joined',
    );
  }

  async leave(member: string): Promise<void> {
    this.#child.send({ leave: member });
    await this.until(`${member} leaves`, ({ name, type }) => name === member && type === 'left');
  }

  /** Keeps its main thread busy. */
  block(durationMs: number): void {
    this.#child.send({ block: durationMs });
  }

  /** `kill -9` */
  async kill(): Promise<void> {
    this.harmedAtMs.push(Date.now());
    await this.#end(() => this.#child.kill('SIGKILL'));
  }

  suspend(): void {
    this.harmedAtMs.push(Date.now());
    this.#child.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }

  /** All leave, and it ends. */
  async end(): Promise<void> {
    await this.#end(() => this.#child.send({ end: true }));
  }

  /**
   * Resolves with what the condition holds for; what was told before `from` does not count.
   *
   * @throws Error that says what was waited for and what was told, when the process ends before
   */
  async until(
    what: string,
    condition: (told: MemberTold) => boolean,
    from = 0,
  ): Promise<MemberTold> {
    const find = (): MemberTold | undefined => this.#told.slice(from).find(condition);
    const state = (): string => `, it told ${JSON.stringify(this.#told)}`;
    const isDue = (): boolean => this.#exited || find() !== undefined;
    await waitFor(what, isDue, state, HANGS_AFTER_MS);
    const found = find();
    if (found === undefined) throw new Error(`the member's process has ended: ${what}${state()}`);
    return found;
  }

  async #end(how: () => void): Promise<void> {
    if (this.#exited) return;
    how();
    const state = (): string => `, it told ${JSON.stringify(this.#told.slice(-10))}`;
    const what = `the process of ${this.names.join()} ends`;
    await waitFor(what, () => this.#exited, state, HANGS_AFTER_MS);
  }
}
