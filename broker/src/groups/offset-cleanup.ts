import type { CoordinatorServices } from './coordinator-services.js';
import type { Group } from './group.js';
import type { GroupAdmin } from './group-admin.js';
import type { CommitRow } from './group-store.js';
import type { GroupTable } from './group-table.js';

/** Committed offsets that are looked at before others get a turn. */
const ROWS_PER_TURN = 10_000;

/** Lets go of offsets that nobody will ask for: too old, or of topics that are no more. */
export class OffsetCleanup {
  #closed = false;
  #rowsThisTurn = 0;
  /** What ends the pauses that are under way. */
  readonly #pauses = new Set<() => void>();

  constructor(
    private readonly services: CoordinatorServices,
    private readonly groups: GroupTable,
    private readonly admin: GroupAdmin,
  ) {}

  /**
   * Removes the offsets of groups that have been without members for `offsetsRetentionMs`, and
   * groups that have neither members nor offsets. A group that never had members goes by the age of
   * each of its commits. What fails is logged and tried again the next time.
   */
  async expire(): Promise<void> {
    const oldestMs = this.services.clock.nowMs() - this.services.config.offsetsRetentionMs;
    await this.#forEachGroup('expiring offsets', async (groupId) => {
      const group = this.groups.get(groupId);
      if (group !== undefined && !isIdle(group)) return;
      const emptySinceMs = group === undefined || group.generation === 0 ? 0 : group.stateTimeMs;
      const rows = this.#committed(groupId);
      // An offset that a tool has set since counts from then on.
      const expired = rows.filter((row) => Math.max(row.commitTimeMs, emptySinceMs) <= oldestMs);
      if (expired.length === rows.length) await this.#removeGroup(groupId, rows.length);
      else if (expired.length > 0) await this.services.store.deleteOffsets(groupId, expired);
    });
  }

  /** Removes the offsets of all groups in a topic that was deleted. */
  async forgetTopic(topicId: string): Promise<void> {
    await this.#forEachGroup('removing offsets of a deleted topic', async (groupId) => {
      const gone = this.#committed(groupId).filter((row) => row.topicId === topicId);
      if (gone.length > 0) await this.services.store.deleteOffsets(groupId, gone);
    });
  }

  close(): void {
    this.#closed = true;
    for (const end of this.#pauses) end();
  }

  async #forEachGroup(what: string, visit: (groupId: string) => Promise<void>): Promise<void> {
    const groupIds = [...this.groups.storedOnly()];
    for (const { groupId } of this.groups.values()) groupIds.push(groupId);
    for (const groupId of groupIds) {
      if (this.#rowsThisTurn >= ROWS_PER_TURN) await this.#pause();
      if (this.#closed) return;
      this.#rowsThisTurn += 1;
      try {
        await visit(groupId);
      } catch (error) {
        this.services.logger.warn({ err: error, group: groupId }, `${what} failed for a group`);
      }
    }
  }

  #committed(groupId: string): readonly CommitRow[] {
    const rows = this.services.store.allCommitted(groupId);
    this.#rowsThisTurn += rows.length;
    return rows;
  }

  async #removeGroup(groupId: string, offsets: number): Promise<void> {
    await this.admin.remove(groupId);
    this.services.logger.info({ group: groupId, offsets }, 'an unused group has expired');
  }

  /** Lets other things happen. */
  #pause(): Promise<void> {
    this.#rowsThisTurn = 0;
    return new Promise((resolve) => {
      const end = (): void => {
        stop();
        this.#pauses.delete(end);
        resolve();
      };
      const stop = this.services.clock.after(0, end);
      this.#pauses.add(end);
    });
  }
}

/** Nobody is in it, about to come, or committing. */
function isIdle(group: Group): boolean {
  const pending = group.pending?.size ?? 0;
  return group.state === 'Empty' && pending === 0 && group.commitsUnderWay === 0;
}
