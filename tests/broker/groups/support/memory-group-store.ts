import { ProtocolError } from '@millrace/protocol';
import type { PartitionKey } from '@millrace/protocol';
import type {
  CommitRow,
  CommittedOffset,
  GroupStore,
  OffsetGroupsWatcher,
  StoredGroup,
} from '../../../../broker/src/groups/group-store.js';

const keyOf = ({ topicId, partition }: PartitionKey): string => `${topicId}/${partition}`;

/**
 * A store whose writes a test can hold up and let fail. Writes happen in the order of the calls.
 */
export class MemoryGroupStore implements GroupStore {
  readonly groups = new Map<string, StoredGroup>();
  readonly #offsets = new Map<string, Map<string, CommitRow>>();
  readonly #held: (() => void)[] = [];
  #watcher: OffsetGroupsWatcher | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #holding = false;
  /** Writes that are to fail, from the next one on. */
  failures = 0;
  /** A write of a group that fails is found by the next broker all the same. */
  failuresAreStored = false;
  failure = new ProtocolError('DISK_FULL', 'the disk is full');
  writes = 0;
  /** Called with each commit that has become durable. */
  onCommitted: (groupId: string, rows: readonly CommitRow[]) => void = () => undefined;

  /** Writes from now on wait for {@link release}. */
  hold(): void {
    this.#holding = true;
  }

  release(): void {
    this.#holding = false;
    for (const go of this.#held.splice(0)) go();
  }

  storeGroup(group: StoredGroup): Promise<void> {
    const apply = (): unknown => this.groups.set(group.groupId, group);
    return this.#write(apply, this.failuresAreStored ? apply : undefined);
  }

  commit(groupId: string, rows: readonly CommitRow[]): Promise<void> {
    return this.#write(() => {
      const known = this.#offsets.get(groupId);
      const offsets = known ?? new Map<string, CommitRow>();
      for (const row of rows) offsets.set(keyOf(row), row);
      this.#offsets.set(groupId, offsets);
      if (known === undefined) this.#watcher?.appeared(groupId);
      this.onCommitted(groupId, rows);
    });
  }

  deleteGroup(groupId: string): Promise<void> {
    return this.#write(() => {
      this.groups.delete(groupId);
      this.#forget(groupId);
    });
  }

  deleteOffsets(groupId: string, keys: readonly PartitionKey[]): Promise<void> {
    return this.#write(() => {
      const offsets = this.#offsets.get(groupId);
      for (const key of keys) offsets?.delete(keyOf(key));
      if (offsets?.size === 0) this.#forget(groupId);
    });
  }

  committed(groupId: string, topicId: string, partition: number): CommittedOffset | undefined {
    return this.#offsets.get(groupId)?.get(keyOf({ topicId, partition }));
  }

  allCommitted(groupId: string): readonly CommitRow[] {
    return [...(this.#offsets.get(groupId)?.values() ?? [])];
  }

  hasOffsets(groupId: string): boolean {
    return this.#offsets.has(groupId);
  }

  groupIds(): Iterable<string> {
    return this.#offsets.keys();
  }

  watchGroups(watcher: OffsetGroupsWatcher): void {
    this.#watcher = watcher;
  }

  /** The store takes offsets of a topic that is gone out of memory by itself, at once. */
  forgetTopic(topicId: string): void {
    for (const [groupId, offsets] of this.#offsets) {
      for (const row of offsets.values()) if (row.topicId === topicId) offsets.delete(keyOf(row));
      if (offsets.size === 0) this.#forget(groupId);
    }
  }

  /** What a broker that starts now would find. What is held is lost. */
  crash(): MemoryGroupStore {
    const after = new MemoryGroupStore();
    for (const [groupId, group] of this.groups) after.groups.set(groupId, group);
    for (const [groupId, rows] of this.#offsets) after.#offsets.set(groupId, new Map(rows));
    return after;
  }

  #forget(groupId: string): void {
    if (this.#offsets.delete(groupId)) this.#watcher?.disappeared(groupId);
  }

  #write(apply: () => void, applyFailing?: () => void): Promise<void> {
    this.writes += 1;
    const fails = this.failures > 0;
    if (fails) this.failures -= 1;
    const { failure } = this;
    const turn = this.#holding
      ? new Promise<void>((resolve) => this.#held.push(resolve))
      : Promise.resolve();
    const written = Promise.all([this.#last, turn]).then(() => {
      if (fails) applyFailing?.();
      if (fails) throw failure;
      apply();
    });
    this.#last = written.catch(() => undefined);
    return written;
  }
}
