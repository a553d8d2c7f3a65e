import { ProtocolError } from '@millrace/protocol';

/** Changes to things with names: one change of a name at a time, in the order of the calls. */
export class NameTurns {
  /** Names that are being changed, by the promise of the last change. */
  readonly #changing = new Map<string, Promise<unknown>>();
  #closing = false;

  /**
   * Makes `change` when those of the same name that came before have ended.
   * @throws ProtocolError SHUTTING_DOWN
   */
  take<Result>(name: string, change: () => Promise<Result>): Promise<Result> {
    if (this.#closing) {
      return Promise.reject(new ProtocolError('SHUTTING_DOWN', 'the broker is stopping'));
    }
    const before = this.#changing.get(name) ?? Promise.resolve();
    const turn = before.catch(() => undefined).then(change);
    this.#changing.set(name, turn);
    const done = (): void => {
      if (this.#changing.get(name) === turn) this.#changing.delete(name);
    };
    turn.then(done, done);
    return turn;
  }

  /** Takes no more changes; resolves when those under way have ended. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.allSettled(this.#changing.values());
  }
}
