import { join } from 'node:path';
import { DataDirError } from './errors.js';
import { readJsonFile, writeJsonFile } from './json-file.js';

const FILE_NAME = 'producer-ids.json';

/** Hands out producer ids, each once: blocks of them are reserved durably before the first is used. */
export class ProducerIds {
  #next: number;
  #reservedTo: number;
  #reserving: Promise<void> | undefined;

  private constructor(
    private readonly path: string,
    private readonly block: number,
    start: number,
  ) {
    this.#next = start;
    this.#reservedTo = start;
  }

  /** @throws DataDirError `damaged` */
  static async load(dataDir: string, block: number): Promise<ProducerIds> {
    const path = join(dataDir, FILE_NAME);
    const content = await readJsonFile(path);
    if (content === undefined) return new ProducerIds(path, block, 0);
    if (typeof content !== 'number' || !Number.isSafeInteger(content) || content < 0) {
      throw new DataDirError('damaged', `${path} does not hold the next producer id`);
    }
    return new ProducerIds(path, block, content);
  }

  /** True when the id was given out, or may have been before a restart. */
  isIssued(id: number): boolean {
    return id < this.#next;
  }

  async next(): Promise<number> {
    while (this.#next >= this.#reservedTo) {
      this.#reserving ??= this.#reserve().finally(() => {
        this.#reserving = undefined;
      });
      await this.#reserving;
    }
    const id = this.#next;
    this.#next += 1;
    return id;
  }

  async #reserve(): Promise<void> {
    const reservedTo = this.#reservedTo + this.block;
    await writeJsonFile(this.path, reservedTo);
    this.#reservedTo = reservedTo;
  }
}
