import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../storage/atomic-file.js';
import type { LogEnvironment } from '../storage/log-environment.js';

/** Directories of deleted topics on their way out, in the background. */
export class DirectoryRemovals {
  readonly #running = new Set<Promise<void>>();

  constructor(private readonly environment: Pick<LogEnvironment, 'removals' | 'logger'>) {}

  /** What cannot be removed is reported: the next start tries again. */
  begin(path: string): void {
    const removal = this.#remove(path)
      .catch((error: unknown) => {
        this.environment.logger.warn({ err: error, path }, 'a deleted topic is removed at restart');
      })
      .finally(() => this.#running.delete(removal));
    this.#running.add(removal);
  }

  /** Resolves when none is under way. */
  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #remove(path: string): Promise<void> {
    for (const name of await readdir(path, { recursive: true })) {
      if (name.endsWith('.log')) await this.environment.removals.remove(join(path, name));
    }
    await rm(path, { recursive: true, force: true });
  }
}

/** Removes what was on its way in or out of `directory` when the last broker ended. */
export async function removeLeftovers(directory: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  // Or a power cut would give one its topic's name back, without what had been in it.
  await syncDirectory(directory);
  for (const name of names) await rm(join(directory, name), { recursive: true, force: true });
}
