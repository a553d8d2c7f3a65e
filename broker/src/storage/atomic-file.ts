import { closeSync, fsync, openSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const fsyncAsync = promisify(fsync);

/**
 * Replaces `path` as a whole: after a crash there is the old content or the new, never a mixture
 * (write beside it, sync, rename, sync the directory).
 */
export async function writeFileAtomically(path: string, content: string | Buffer): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w', 0o644);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** Makes names created, renamed or removed in `path` durable (`fsync` of the directory). */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * A directory held open, so that names made in it can be synced later whatever the process has run
 * out of by then.
 */
export class OpenDirectory {
  readonly #fd: number;
  #closed = false;

  /** @throws Error with an errno code, as `EMFILE`. */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
  }

  /** Makes names created, renamed or removed in it durable (`fsync`). Not while it is being closed. */
  async sync(): Promise<void> {
    await fsyncAsync(this.#fd);
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }
}
