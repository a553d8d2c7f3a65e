import { setMaxListeners } from 'node:events';
import { ftruncate } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Native, NativeFile } from '@millrace/native';
import { unlinkIfThere } from './log-files.js';

/**
 * What a file loses at a time. Folios of the page cache are no larger and lie at multiples of their
 * size, so each goes as a whole, as it does with the file: one of which a part is cut off is zeroed
 * there, and a socket may still have to send it.
 */
const STEP_BYTES = 4 * 1024 * 1024;
/** Between two steps, for the syncs that wait. */
const PAUSE_MS = 10;
/** Files with no name any more that are held open at a time; those beyond go at once. */
const MAX_HELD_FILES = 64;
/** How often a file is looked at that somebody still uses. */
const USERS_INTERVAL_MS = 200;
/** A file that is used for longer than this goes with its last user, at once. */
const MAX_USED_MS = 60_000;

const truncate = promisify(ftruncate);

/** A file that outlives its name. */
export interface HeldFile {
  /** Its name is gone: it is let go of step by step, in the background. */
  release(): void;
  /** It keeps its name. */
  keep(): void;
}

/**
 * Removes large files so that nobody else notices. Deleting 64 MiB keeps a file system that discards
 * freed blocks busy for some 40 ms, and every sync on it waits for that. So the name goes at once, and
 * the space behind it in small steps, one file at a time, when nobody has it open or mapped any more.
 * Should the process end before, the rest goes with its descriptor.
 */
export class FileRemovals {
  #held = 0;
  readonly #running = new Set<Promise<void>>();
  /** The last that is shrunk; those that come later queue up behind it. */
  #shrinking: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  /** @param native without it files go at once: only the kernel can say who still uses one. */
  constructor(private readonly native: Native | undefined) {
    setMaxListeners(MAX_HELD_FILES, this.#closing.signal);
  }

  /**
   * Removes a file; one that is gone already is no error. Resolves when its name is gone.
   * @throws Error with an errno code
   */
  async remove(path: string): Promise<void> {
    const held = this.hold(path);
    try {
      await unlinkIfThere(path);
    } catch (error) {
      held?.keep();
      throw error;
    }
    held?.release();
  }

  /** Holds the file whose name another is about to take; undefined where that is no use. */
  hold(path: string): HeldFile | undefined {
    const file = this.#open(path);
    if (file === undefined) return undefined;
    this.#held += 1;
    const close = (): void => {
      this.#held -= 1;
      file.close();
    };
    const release = (): void => {
      const removal = this.#letGo(file).finally(() => {
        close();
        this.#running.delete(removal);
      });
      this.#running.add(removal);
    };
    return { keep: close, release };
  }

  /** Resolves when the space of everything removed until now is free. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Lets go of everything at once. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.idle();
  }

  #open(path: string): NativeFile | undefined {
    if (this.native === undefined || this.#held >= MAX_HELD_FILES) return undefined;
    let file: NativeFile | undefined;
    try {
      file = this.native.openFile(path, 'readwrite');
      if (file.size() > STEP_BYTES) return file;
    } catch {
      // Gone, or no descriptor is left: it goes as any file does.
    }
    file?.close();
    return undefined;
  }

  /** Never rejects: whatever goes wrong, closing the file frees what is left. */
  async #letGo(file: NativeFile): Promise<void> {
    try {
      for (let usedMs = 0; file.hasOtherUsers(); usedMs += USERS_INTERVAL_MS) {
        if (usedMs >= MAX_USED_MS) return;
        await this.#pause(USERS_INTERVAL_MS);
      }
      const turn = this.#shrinking.then(() => this.#shrink(file));
      this.#shrinking = turn.catch(() => undefined);
      await turn;
    } catch {
      // The broker stops, or the file system has no leases.
    }
  }

  async #shrink(file: NativeFile): Promise<void> {
    let length = file.size();
    while (length > 0) {
      this.#closing.signal.throwIfAborted();
      length = (Math.ceil(length / STEP_BYTES) - 1) * STEP_BYTES;
      await truncate(file.fd, length);
      await this.#pause(PAUSE_MS);
    }
  }

  #pause(ms: number): Promise<void> {
    return setTimeout(ms, undefined, { signal: this.#closing.signal, ref: false });
  }
}
