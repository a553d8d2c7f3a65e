import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tree } from './simulated-disk.js';

/** In memory where there is such a place: what a sync means there is the simulated disk's affair. */
const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A directory that holds `tree`. */
export async function materialize(tree: Tree): Promise<string> {
  const root = await mkdtemp(join(parent, 'millrace-seam-'));
  for (const [path, content] of [...tree].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (content === undefined) await mkdir(join(root, path));
    else await writeFile(join(root, path), content);
  }
  return root;
}

/** What lies below `root`. */
export async function treeAt(root: string, within = ''): Promise<Tree> {
  const tree = new Map<string, Buffer | undefined>();
  for (const entry of await readdir(join(root, within), { withFileTypes: true })) {
    const path = within === '' ? entry.name : `${within}/${entry.name}`;
    if (!entry.isDirectory()) {
      tree.set(path, await readFile(join(root, path)));
      continue;
    }
    tree.set(path, undefined);
    for (const found of await treeAt(root, path)) tree.set(...found);
  }
  return tree;
}

export async function removeTree(root: string): Promise<void> {
  await rm(root, { recursive: true, force: true });
}

/** Where two trees differ, in words. */
export function differences(expected: Tree, found: Tree): string[] {
  const paths = new Set([...expected.keys(), ...found.keys()]);
  return [...paths].sort().flatMap((path) => {
    if (!found.has(path)) return [`${path} is missing`];
    if (!expected.has(path)) return [`${path} was not expected`];
    const [one, other] = [expected.get(path), found.get(path)];
    if (one === undefined || other === undefined) {
      return one === other ? [] : [`${path} is of another kind`];
    }
    return one.equals(other) ? [] : [`${path} has other content (${other.length} bytes)`];
  });
}
