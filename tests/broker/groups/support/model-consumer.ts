import { decodeAssignment, ProtocolError } from '@millrace/protocol';
import type { JoinGroupResponse, MemberAssignment, SyncGroupResponse } from '@millrace/protocol';
import type { GroupInvariants } from './group-invariants.js';
import { assigned, errorIn, GROUP, outcomeOf, subscribed, TOPIC, TOPIC_ID } from './test-group.js';
import type { TestGroup } from './test-group.js';

/** Partitions that the consumers share. */
export const SHARED = 4;

/** How a leader assigns. `partly`: it forgets all others. */
export type LeaderStyle = 'fair' | 'partly' | 'twice' | 'stranger';

type Phase = 'out' | 'waiting' | 'joined' | 'active';

/** One process that consumes in a group, as a client library would, a step at a time. */
export class ModelConsumer {
  alive = true;
  phase: Phase = 'out';
  memberId = '';
  generation = -1;
  /** What it was told, and how far it has come in each. */
  readonly owned = new Map<number, number>();
  /** How far it had come when it joined again and was told the generation that it was in. */
  #reached: ReadonlyMap<number, number> = new Map();
  /** Whom it leads; empty for a follower. */
  #followers: readonly string[] = [];
  /** Requests that are not answered yet. */
  readonly waiting = new Set<string>();
  #connection = new AbortController();
  #requests = 0;

  constructor(
    private readonly group: TestGroup,
    private readonly invariants: GroupInvariants,
    readonly groupInstanceId: string | null,
    private readonly onFenced: () => void = () => undefined,
  ) {}

  /** Killed: its connection ends, and nothing comes from it any more. */
  die(): void {
    this.alive = false;
    this.#connection.abort();
  }

  /** The connection broke, the process lives: whatever waits is over. */
  disconnect(): void {
    this.#connection.abort();
    this.#connection = new AbortController();
  }

  /** What a client does next by itself. */
  step(style: LeaderStyle = 'fair'): void {
    if (!this.alive || this.phase === 'waiting') return;
    if (this.phase === 'out') this.#join();
    else if (this.phase === 'joined') this.#sync(style);
    else this.#handle(this.heartbeat());
  }

  heartbeat(): string {
    const { generation, groupInstanceId, memberId } = this;
    return this.group.heartbeat({ memberId, generation }, groupInstanceId);
  }

  /** Joins again although nothing asks for it. */
  rejoin(): void {
    if (this.alive && this.phase === 'active') this.#join();
  }

  leave(): void {
    if (!this.alive || this.memberId === '') return;
    this.group.leave(this.memberId, this.groupInstanceId);
    this.die();
  }

  /** Handles some messages of each partition, and commits how far it has come. */
  consume(messages: number): void {
    if (!this.alive) return;
    for (const [partition, position] of this.owned) {
      this.owned.set(partition, position + messages);
      void this.#commit(this.generation, partition, position + messages);
    }
  }

  /** Commits what it has no right to: of an old generation, or of another member. */
  intrude(partition: number, generationsBack: number): void {
    const { generation, state } = this.group.described;
    const owner = this.invariants.ownerOf(generation, partition);
    const stale = this.generation - generationsBack;
    const another = owner !== undefined && owner !== this.#name;
    const illegal = stale !== generation || (another && state !== 'Empty');
    if (this.memberId === '' || stale < 0 || !illegal) return;
    const what = `${this.memberId} committed ${partition} in generation ${stale} of ${generation}`;
    void this.#commit(stale, partition, 0).then((error) => {
      this.invariants.sawIntruder(what, error);
    });
  }

  get #name(): string {
    return this.groupInstanceId ?? this.memberId;
  }

  #join(): void {
    const { groupInstanceId, memberId } = this;
    const protocols = [{ name: 'range', metadata: subscribed([TOPIC], [...this.owned.keys()]) }];
    const request = { memberId, groupInstanceId, protocols };
    this.#await('join', this.group.join(request, this.#connection.signal).promise, this.#joined);
  }

  readonly #joined = (response: JoinGroupResponse): void => {
    const error = errorIn(response);
    if (error === 'MEMBER_ID_REQUIRED') this.memberId = response.memberId;
    if (error !== 'NONE') {
      this.#handle(error);
      return;
    }
    this.invariants.sawGeneration(response.generation);
    // Its own commits may still be on their way: it goes on from where it is, as a client does.
    const isSame = response.generation === this.generation && response.memberId === this.memberId;
    this.#reached = new Map(isSame ? this.owned : []);
    this.memberId = response.memberId;
    this.generation = response.generation;
    this.owned.clear();
    const leads = response.leaderId === response.memberId;
    this.#followers = leads ? response.members.map(({ memberId }) => memberId) : [];
    this.phase = 'joined';
  };

  #sync(style: LeaderStyle): void {
    const { generation, groupInstanceId, memberId } = this;
    const assignments = this.#assign(style);
    const request = { memberId, generation, groupInstanceId, assignments };
    this.#await('sync', this.group.sync(request, this.#connection.signal).promise, this.#synced);
  }

  readonly #synced = ({ assignment }: SyncGroupResponse): void => {
    const partitions = assignment.length === 0 ? [] : decodeAssignment(assignment).partitions;
    const mine = partitions.flatMap((each) => each.partitions);
    this.invariants.sawAssignment(this.generation, this.#name, mine);
    for (const partition of mine) {
      const reached = this.#reached.get(partition) ?? 0;
      this.owned.set(partition, Math.max(reached, this.group.committed(partition)));
    }
    this.phase = 'active';
  };

  #assign(style: LeaderStyle): MemberAssignment[] {
    const shares = this.#followers.map((): number[] => []);
    for (let partition = 0; partition < SHARED && shares.length > 0; partition += 1) {
      shares[partition % shares.length]?.push(partition);
    }
    if (style === 'twice') for (const share of shares) if (!share.includes(0)) share.push(0);
    const all = this.#followers.map((memberId, index) => ({
      memberId,
      assignment: assigned(shares[index] ?? []),
    }));
    if (style === 'partly') return all.slice(0, 1);
    const [first] = all;
    if (style === 'stranger' && first !== undefined) return [{ ...first, memberId: 'stranger' }];
    return all;
  }

  async #commit(generation: number, partition: number, offset: number): Promise<string> {
    const { group, groupInstanceId, memberId } = this;
    const entries = [{ topicId: TOPIC_ID, partition, offset, leaderEpoch: -1, metadata: null }];
    const request = { groupId: GROUP, memberId, generation, groupInstanceId, entries };
    const name = `commit ${(this.#requests += 1)}`;
    this.waiting.add(name);
    try {
      return errorIn((await group.coordinator.commit(request)).entries[0]);
    } catch (error) {
      if (error instanceof ProtocolError) return error.errorName;
      throw error;
    } finally {
      this.waiting.delete(name);
    }
  }

  /** One join or sync at a time; a process that was killed hears no answer. */
  #await<Answer>(what: string, promise: Promise<Answer>, then: (answer: Answer) => void): void {
    const name = `${what} ${(this.#requests += 1)} of ${this.#name}`;
    this.waiting.add(name);
    this.phase = 'waiting';
    void promise.then(
      (answer) => {
        this.waiting.delete(name);
        if (this.alive) then(answer);
      },
      (error: unknown) => {
        this.waiting.delete(name);
        if (this.alive) this.#handle(outcomeOf(() => rethrow(error)));
      },
    );
  }

  /** What a client makes of an error. */
  #handle(error: string): void {
    if (error === 'NONE') return;
    this.phase = 'out';
    if (error === 'UNKNOWN_MEMBER_ID') this.memberId = '';
    if (error === 'UNKNOWN_MEMBER_ID' || error === 'ILLEGAL_GENERATION') this.owned.clear();
    if (error === 'FENCED_INSTANCE_ID') {
      this.die();
      this.onFenced();
    }
    const known = new Set([
      ...['MEMBER_ID_REQUIRED', 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID'],
      ...['REBALANCE_IN_PROGRESS', 'INVALID_ASSIGNMENT', 'COORDINATOR_NOT_AVAILABLE'],
      ...['SHUTTING_DOWN', 'REQUEST_TIMED_OUT'],
    ]);
    if (!known.has(error)) this.invariants.violated(`a consumer was told ${error}`);
  }
}

function rethrow(error: unknown): never {
  throw error;
}
