import { rm } from 'node:fs/promises';
import type { Logger } from 'pino';

/** Directories of deleted topics on their way out, in the background. */
export class DirectoryRemovals {
  readonly #running = new Set<Promise<void>>();

  constructor(private readonly logger: Logger) {}

  /** What cannot be removed is reported: the next start tries again. */
  begin(path: string): void {
    const removal = rm(path, { recursive: true, force: true })
      .catch((error: unknown) => {
        this.logger.warn({ err: error, path }, 'a deleted topic is removed at restart');
      })
      .finally(() => this.#running.delete(removal));
    this.#running.add(removal);
  }

  /** Resolves when none is under way. */
  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }
}
