import type { StorageFile } from './persistence/file.js';

/**
 * A file with several users: appender, readers, sends in flight. It closes when the last lets go,
 * so a segment can be sealed or deleted while its bytes are still on their way to a consumer.
 */
export class SharedFile {
  #users = 1;

  /** The creator is the first user. */
  constructor(readonly file: StorageFile) {}

  get users(): number {
    return this.#users;
  }

  retain(): void {
    if (this.#users === 0) throw new Error(`${this.file.path}: used after it was closed`);
    this.#users += 1;
  }

  release(): void {
    if (this.#users === 0) throw new Error(`${this.file.path}: released twice`);
    this.#users -= 1;
    if (this.#users === 0) this.file.close();
  }
}
