import { isAbsolute, relative, resolve } from 'node:path';
import type { Operation, Range } from './operations.js';
import { SimulatedDisk } from './simulated-disk.js';

/** A system call that is about to be made, by the names that errors bear. */
export interface Call {
  readonly syscall: string;
  /** Relative to the recorded directory. */
  readonly path: string;
}

/**
 * What a test makes of a call: `before`: it fails and nothing is done; `after`: it is done and says that
 * it failed; `part`: a write does half and says that it failed; `short`: a write does less and says so.
 */
export interface Fault {
  readonly code: 'EIO' | 'ENOSPC' | 'ENOMEM' | 'EMFILE';
  readonly how: 'before' | 'after' | 'part' | 'short';
}

/** The most that a short write writes: less than what a slot of a checkpoint holds. */
const SHORT_BYTES = 40;

/** How much of `length` bytes a write does. */
export function writtenBytes(length: number, fault: Fault | undefined): number {
  if (fault?.how === 'short') return Math.min(SHORT_BYTES, Math.ceil(length / 2));
  return fault?.how === 'part' ? Math.floor(length / 2) : length;
}

/** Asked for each call that changes files, in their order. */
export type FaultPlan = (call: Call) => Fault | undefined;

/** A system error as Node and the native module throw it. */
export function systemError(code: string, { syscall, path }: Call): Error {
  const message = `${code}: made by a test, ${syscall} '${path}'`;
  return Object.assign(new Error(message), { code, errno: -5, syscall, path });
}

/** Notes what is done below one directory, on a simulated disk beside the real one. */
export class Recorder {
  readonly operations: Operation[] = [];
  #root: string | undefined;
  #disk = new SimulatedDisk();
  #plan: FaultPlan = () => undefined;
  /** Nodes by open descriptor. */
  readonly #nodes = new Map<number, number>();
  #nextSync = 0;

  /** From now on: what is done below `root`, which holds what `disk` does. */
  begin(root: string, disk = new SimulatedDisk()): void {
    this.#root = resolve(root);
    this.#disk = disk;
    this.operations.length = 0;
    this.#nodes.clear();
    this.#plan = () => undefined;
  }

  /** Notes nothing any more; returns the disk as it is. */
  end(): SimulatedDisk {
    this.#root = undefined;
    this.#plan = () => undefined;
    return this.#disk;
  }

  /** Faults from now on. */
  inject(plan: FaultPlan): void {
    this.#plan = plan;
  }

  /** The path within the recorded directory; undefined for those outside. */
  within(path: string): string | undefined {
    if (this.#root === undefined) return undefined;
    const inside = relative(this.#root, resolve(path));
    return inside.startsWith('..') || isAbsolute(inside) ? undefined : inside;
  }

  nodeAt(path: string): number | undefined {
    const inside = this.within(path);
    return inside === undefined ? undefined : this.#disk.find(inside);
  }

  nodeOf(descriptor: number): number | undefined {
    return this.#nodes.get(descriptor);
  }

  sizeOf(node: number): number {
    return this.#disk.sizeOf(node);
  }

  /** What is to become of a call. @throws the error of one that fails with nothing done. */
  before(syscall: string, path: string): Fault | undefined {
    const inside = this.within(path);
    if (inside === undefined) return undefined;
    const call = { syscall, path: inside };
    const fault = this.#plan(call);
    if (fault?.how === 'before') throw systemError(fault.code, call);
    return fault;
  }

  /** @throws the error of a call that was done, at least in part, and failed. */
  after(fault: Fault | undefined, syscall: string, path: string): void {
    if (fault === undefined || fault.how === 'short') return;
    throw systemError(fault.code, { syscall, path: this.within(path) ?? path });
  }

  /** A file or directory is there that was not. */
  made(path: string, what: 'file' | 'directory'): void {
    const inside = this.within(path);
    if (inside === undefined || this.#disk.find(inside) !== undefined) return;
    this.note({ type: 'make', path: inside, node: this.#disk.reserveNode(), what });
  }

  opened(path: string, descriptor: number): void {
    const node = this.nodeAt(path);
    if (node === undefined) this.#nodes.delete(descriptor);
    else this.#nodes.set(descriptor, node);
  }

  closed(descriptor: number): void {
    this.#nodes.delete(descriptor);
  }

  moved(from: string, to: string): void {
    const [source, target] = [this.within(from), this.within(to)];
    if (source !== undefined && target !== undefined) {
      this.note({ type: 'move', from: source, to: target });
    }
  }

  linked(from: string, to: string): void {
    const [source, target] = [this.within(from), this.within(to)];
    if (source !== undefined && target !== undefined) {
      this.note({ type: 'link', from: source, to: target });
    }
  }

  removed(path: string): void {
    const inside = this.within(path);
    if (inside !== undefined) this.note({ type: 'remove', path: inside });
  }

  wrote(node: number | undefined, position: number, bytes: Uint8Array): void {
    if (node === undefined || bytes.length === 0) return;
    this.note({ type: 'write', node, position, bytes: Buffer.from(bytes) });
  }

  resized(node: number | undefined, size: number): void {
    if (node === undefined || this.#disk.sizeOf(node) === size) return;
    this.note({ type: 'resize', node, size });
  }

  /** A sync begins; the way to say how it ended. */
  syncing(node: number | undefined, range?: Range): (failed: boolean) => void {
    if (node === undefined) return () => undefined;
    const id = (this.#nextSync += 1);
    this.note({ type: 'sync-begin', node, id, ...(range === undefined ? {} : { range }) });
    const disk = this.#disk;
    return (failed) => {
      if (this.#disk === disk) this.note({ type: 'sync-end', node, id, failed });
    };
  }

  private note(operation: Operation): void {
    if (this.#root === undefined) return;
    this.operations.push(operation);
    this.#disk.apply(operation);
  }
}

/** Of this test file: the modules that it stands in for are one each. */
export const recorder = new Recorder();
