import { statfs } from 'node:fs/promises';
import { ProtocolError } from '@millrace/protocol';
import type { Logger } from 'pino';

/** How often the disk is looked at. */
const CHECK_INTERVAL_MS = 1_000;

export interface DiskSpaceOptions {
  /** A directory on the disk in question. */
  readonly directory: string;
  /** See `minFreeDiskBytes` of the configuration; 0: no such bound. */
  readonly minFreeBytes: number;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Resolves to the bytes that are free. Default: by `statfs(2)`, what a user without rights may take. */
  readonly measure?: (directory: string) => Promise<number>;
}

/**
 * Knows how much of the disk is free, and says when it is too little for messages of producers. What keeps
 * a promise or frees space (commits of groups, checkpoints, retention, compaction) is not asked to stop: for
 * that the space below the bound is there.
 *
 * The disk is looked at every second, and when the growth of the broker's own files since then may have
 * used up what was free; never for each message.
 */
export class DiskSpace {
  #freeBytes: number | undefined;
  #low = false;
  #checking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The last look failed, and that was said. */
  #blind = false;

  private constructor(private readonly options: DiskSpaceOptions) {}

  /** Looks a first time, then at intervals until it is closed. */
  static async watch(options: DiskSpaceOptions): Promise<DiskSpace> {
    const space = new DiskSpace(options);
    await space.check();
    space.#timer = setInterval(() => void space.check(), CHECK_INTERVAL_MS).unref();
    return space;
  }

  /** As of the last look, less what files grew by since; undefined when it is not known. */
  get freeBytes(): number | undefined {
    return this.#freeBytes;
  }

  get minFreeBytes(): number {
    return this.options.minFreeBytes;
  }

  /** Why messages are refused, in words for people; undefined while they are not. */
  get problem(): string | undefined {
    if (!this.#low) return undefined;
    const { directory, minFreeBytes } = this.options;
    return (
      `${this.#freeBytes ?? 0} bytes are free on the disk of ${directory}, less than the ` +
      `${minFreeBytes} of minFreeDiskBytes`
    );
  }

  /**
   * @param what is refused, as in `append to orders-3`.
   * @throws ProtocolError DISK_FULL, which is retriable, while too little is free.
   */
  require(what: string): void {
    const { problem } = this;
    if (problem === undefined) return;
    throw new ProtocolError(
      'DISK_FULL',
      `${what}: ${problem}; free space on it (delete topics or records, lower retention.ms or ` +
        'retention.bytes), or lower minFreeDiskBytes, and send again',
    );
  }

  /** Takes notice that a file takes `bytes` more of the disk. */
  grew(bytes: number): void {
    if (this.#freeBytes === undefined) return;
    this.#freeBytes -= bytes;
    if (!this.#low && this.#freeBytes < this.options.minFreeBytes) void this.check();
  }

  /** Looks now, or joins the look that is under way. Never rejects. */
  check(): Promise<void> {
    this.#checking ??= this.#measure().finally(() => (this.#checking = undefined));
    return this.#checking;
  }

  /** Looks no more. Idempotent. */
  close(): void {
    clearInterval(this.#timer);
  }

  async #measure(): Promise<void> {
    const { directory, logger, measure = freeBytesOf } = this.options;
    try {
      this.#freeBytes = await measure(directory);
      this.#blind = false;
    } catch (error) {
      // Whether there is space the appends will tell.
      this.#freeBytes = undefined;
      if (!this.#blind) logger.warn({ err: error, directory }, 'cannot tell how full the disk is');
      this.#blind = true;
    }
    this.#decide();
  }

  #decide(): void {
    const { directory, minFreeBytes: minFreeDiskBytes, logger } = this.options;
    const freeBytes = this.#freeBytes;
    const low = freeBytes !== undefined && freeBytes < minFreeDiskBytes;
    if (low === this.#low) return;
    this.#low = low;
    const facts = { freeBytes, minFreeDiskBytes, directory };
    if (low) {
      logger.warn(
        facts,
        'the disk is nearly full: messages are refused with DISK_FULL until there is space again',
      );
    } else {
      logger.info(facts, 'there is space on the disk again: messages are taken');
    }
  }
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
