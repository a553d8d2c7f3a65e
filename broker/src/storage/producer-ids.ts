import { join } from 'node:path';
import { DataDirError } from './errors.js';
import { readJsonFile, writeJsonFile } from './json-file.js';
import type { Logger } from 'pino';

const FILE_NAME = 'producer-ids.json';

/**
 * More ids than a broker gives out in a millisecond: the time, in these units, is beyond every id that was
 * given out before, also those that were chosen this way.
 */
const IDS_PER_MS = 1024;

/** What is known of the directory besides. */
export interface AboutDirectory {
  /** It never held a topic, so that no id was given out. */
  readonly isNew: boolean;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly logger: Logger;
}

async function readNextId(path: string): Promise<number | 'missing' | 'damaged'> {
  try {
    const content = await readJsonFile(path);
    if (content === undefined) return 'missing';
    const isId = typeof content === 'number' && Number.isSafeInteger(content) && content >= 0;
    return isId ? content : 'damaged';
  } catch (error) {
    if (error instanceof DataDirError) return 'damaged';
    throw error;
  }
}

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

  /**
   * Goes on behind the ids that were reserved. Where it is not known which those were, it goes on where
   * none can have been: an id that two producers have makes the batches of one look like repeats.
   */
  static async load(dataDir: string, block: number, about: AboutDirectory): Promise<ProducerIds> {
    const path = join(dataDir, FILE_NAME);
    const stored = await readNextId(path);
    if (typeof stored === 'number') return new ProducerIds(path, block, stored);
    if (stored === 'damaged' || !about.isNew) {
      const next = about.nowMs * IDS_PER_MS;
      const what = `${path} was ${stored === 'damaged' ? 'damaged' : 'lost'}`;
      about.logger.warn(
        { next },
        `${what}: producer ids go on far beyond those that were given out`,
      );
      await writeJsonFile(path, next);
      return new ProducerIds(path, block, next);
    }
    // From the beginning: so that it is noticed when it is lost.
    await writeJsonFile(path, 0);
    return new ProducerIds(path, block, 0);
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
