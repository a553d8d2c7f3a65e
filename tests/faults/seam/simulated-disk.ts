import { basename, dirname } from 'node:path';
import type { NodeKind, Operation } from './operations.js';
import type { Loss } from './losses.js';
import { SimulatedDirectory } from './simulated-directory.js';
import { SimulatedFile } from './simulated-file.js';

/** The files below a directory by their relative paths; undefined for directories. */
export type Tree = ReadonlyMap<string, Buffer | undefined>;

const ROOT = 0;

/**
 * A file system that promises no more than POSIX does: a name is on the device once its directory was
 * synced after it was made, and content once its file was. Operations are applied to it one by one; at
 * any time it tells what a killed program leaves, and what a power cut may.
 */
export class SimulatedDisk {
  #nodes = new Map<number, SimulatedFile | SimulatedDirectory>([[ROOT, new SimulatedDirectory()]]);
  #nextNode = ROOT + 1;

  /** A disk that holds `tree`, all of it on the device. */
  static holding(tree: Tree): SimulatedDisk {
    const disk = new SimulatedDisk();
    for (const [path, content] of [...tree].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const node = disk.reserveNode();
      disk.#nodes.set(
        node,
        content === undefined ? new SimulatedDirectory() : SimulatedFile.synced(content),
      );
      disk.#directoryOf(path).putSynced(basename(path), node);
    }
    return disk;
  }

  clone(): SimulatedDisk {
    const copy = new SimulatedDisk();
    copy.#nodes = new Map([...this.#nodes].map(([id, node]) => [id, node.clone()]));
    copy.#nextNode = this.#nextNode;
    return copy;
  }

  /** A number for a node that is about to be made. */
  reserveNode(): number {
    this.#nextNode += 1;
    return this.#nextNode - 1;
  }

  /** The node with that relative path as programs see it; undefined when there is none. */
  find(path: string): number | undefined {
    let node: number | undefined = ROOT;
    for (const name of path.split('/').filter((part) => part !== '' && part !== '.')) {
      const directory: SimulatedFile | SimulatedDirectory | undefined =
        node === undefined ? undefined : this.#nodes.get(node);
      node = directory instanceof SimulatedDirectory ? directory.names.get(name) : undefined;
    }
    return node;
  }

  sizeOf(node: number): number {
    const file = this.#nodes.get(node);
    return file instanceof SimulatedFile ? file.cache.length : 0;
  }

  kindOf(node: number): NodeKind {
    return this.#nodes.get(node) instanceof SimulatedFile ? 'file' : 'directory';
  }

  apply(operation: Operation): void {
    switch (operation.type) {
      case 'make':
        this.#nextNode = Math.max(this.#nextNode, operation.node + 1);
        this.#nodes.set(
          operation.node,
          operation.what === 'file' ? new SimulatedFile() : new SimulatedDirectory(),
        );
        this.#directoryOf(operation.path).put(basename(operation.path), operation.node);
        return;
      case 'link':
        this.#directoryOf(operation.to).put(basename(operation.to), this.#at(operation.from));
        return;
      case 'move':
        this.#move(operation.from, operation.to);
        return;
      case 'remove':
        this.#directoryOf(operation.path).remove(basename(operation.path));
        return;
      case 'write':
        this.#file(operation.node).write(operation.position, operation.bytes);
        return;
      case 'resize':
        this.#file(operation.node).resize(operation.size);
        return;
      case 'sync-begin':
        this.#node(operation.node).beginSync(operation.id, operation.range);
        return;
      case 'sync-end':
        this.#node(operation.node).endSync(operation.id, operation.failed);
    }
  }

  /** What is there when the program is killed: all that it did. */
  afterKill(): Tree {
    return this.#tree(
      ROOT,
      '',
      (directory) => directory.names,
      (file) => file.cache,
    );
  }

  /** What is there after a power cut. */
  afterPowerCut(loss: Loss): Tree {
    const names = loss.names();
    return this.#tree(
      ROOT,
      '',
      (directory) => directory.afterPowerCut(names),
      (file) => file.afterPowerCut(loss.content()),
    );
  }

  #tree(
    node: number,
    path: string,
    namesOf: (directory: SimulatedDirectory) => ReadonlyMap<string, number>,
    contentOf: (file: SimulatedFile) => Buffer,
  ): Map<string, Buffer | undefined> {
    const tree = new Map<string, Buffer | undefined>();
    for (const [name, child] of namesOf(this.#directory(node))) {
      const childPath = path === '' ? name : `${path}/${name}`;
      const found = this.#node(child);
      if (found instanceof SimulatedFile) {
        tree.set(childPath, contentOf(found));
        continue;
      }
      tree.set(childPath, undefined);
      for (const entry of this.#tree(child, childPath, namesOf, contentOf)) tree.set(...entry);
    }
    return tree;
  }

  #move(from: string, to: string): void {
    if (dirname(from) !== dirname(to)) throw new Error(`${from} is moved to another directory`);
    this.#directoryOf(from).move(basename(from), basename(to));
  }

  #at(path: string): number {
    const node = this.find(path);
    if (node === undefined) throw new Error(`there is no ${path}`);
    return node;
  }

  #directoryOf(path: string): SimulatedDirectory {
    const parent = dirname(path);
    return this.#directory(this.#at(parent === '.' ? '' : parent));
  }

  #node(id: number): SimulatedFile | SimulatedDirectory {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  #file(id: number): SimulatedFile {
    const node = this.#node(id);
    if (node instanceof SimulatedFile) return node;
    throw new Error(`node ${id} is a directory`);
  }

  #directory(id: number): SimulatedDirectory {
    const node = this.#node(id);
    if (node instanceof SimulatedDirectory) return node;
    throw new Error(`node ${id} is a file`);
  }
}
