/** A change of a directory's names. */
type Change =
  | { readonly type: 'put'; readonly name: string; readonly node: number }
  | { readonly type: 'remove'; readonly name: string }
  | { readonly type: 'move'; readonly from: string; readonly to: string; readonly node: number };

/** Asked for each change that is not synced: is it there after the power cut? `index` of `count`. */
export type KeptNames = (index: number, count: number, type: Change['type']) => boolean;

/** A directory as programs see it, and as the device has it. A change is on the device once synced. */
export class SimulatedDirectory {
  readonly names = new Map<string, number>();
  readonly #device = new Map<string, number>();
  /** Oldest first. */
  #pending: readonly Change[] = [];
  readonly #syncs = new Map<number, ReadonlySet<Change>>();

  clone(): SimulatedDirectory {
    const copy = new SimulatedDirectory();
    for (const entry of this.names) copy.names.set(...entry);
    for (const entry of this.#device) copy.#device.set(...entry);
    copy.#pending = this.#pending;
    for (const entry of this.#syncs) copy.#syncs.set(...entry);
    return copy;
  }

  /** A name that is there, and on the device. */
  putSynced(name: string, node: number): void {
    this.names.set(name, node);
    this.#device.set(name, node);
  }

  put(name: string, node: number): void {
    this.#change({ type: 'put', name, node });
  }

  remove(name: string): void {
    this.#change({ type: 'remove', name });
  }

  /** As one: after a power cut the name is the one file's or the other's. */
  move(from: string, to: string): void {
    const node = this.names.get(from);
    if (node === undefined) throw new Error(`there is no ${from}`);
    this.#change({ type: 'move', from, to, node });
  }

  beginSync(id: number): void {
    this.#syncs.set(id, new Set(this.#pending));
  }

  /** After a failure the changes are still to be synced, or to be lost: metadata stays in the journal. */
  endSync(id: number, failed: boolean): void {
    const covered = this.#syncs.get(id);
    if (covered === undefined) throw new Error(`sync ${id} was never begun`);
    this.#syncs.delete(id);
    if (failed) return;
    for (const change of this.#pending) if (covered.has(change)) make(change, this.#device);
    this.#pending = this.#pending.filter((change) => !covered.has(change));
  }

  afterPowerCut(isKept: KeptNames): ReadonlyMap<string, number> {
    const names = new Map(this.#device);
    for (const [index, change] of this.#pending.entries()) {
      if (isKept(index, this.#pending.length, change.type)) make(change, names);
    }
    return names;
  }

  #change(change: Change): void {
    make(change, this.names);
    this.#pending = [...this.#pending, change];
  }
}

function make(change: Change, names: Map<string, number>): void {
  if (change.type === 'put') names.set(change.name, change.node);
  else if (change.type === 'remove') names.delete(change.name);
  else {
    names.delete(change.from);
    names.set(change.to, change.node);
  }
}
