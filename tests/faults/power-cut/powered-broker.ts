import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BrokerProcess } from '../../support/broker-process.js';
import { loadEnvironment } from '../load/load.js';
import type { LoopDisk } from '../support/loop-disk.js';

const settings = {
  ...loadEnvironment,
  MILLRACE_CLEANER_INTERVAL_MS: '60',
  // Long enough for a tail that is not synced, where nobody waits for that.
  MILLRACE_FLUSH_MS: '300',
  MILLRACE_MIN_FREE_DISK_BYTES: '0',
  MILLRACE_HUGE_PAGES_FROM_BYTES: '4KiB',
} as const;

/** A broker whose data lie on a disk that can lose its power; clients find it at one address all the time. */
export class PoweredBroker {
  #broker: BrokerProcess | undefined;

  constructor(
    private readonly disk: LoopDisk,
    /** Nobody else takes its port while the broker is away. */
    readonly address: string,
  ) {}

  get dataDir(): string {
    return join(this.disk.path, 'data');
  }

  /** What the running broker has printed. */
  get log(): string {
    return this.#broker?.log ?? '';
  }

  /**
   * @param how to persist and to serve, as arguments.
   * @param preload a library for it.
   */
  async start(how: readonly string[], preload?: string): Promise<void> {
    const preloaded = preload === undefined ? {} : { LD_PRELOAD: preload };
    const args = ['--listen', this.address, '--http', 'off', ...how];
    this.#broker = BrokerProcess.launch(this.dataDir, args, { ...settings, ...preloaded });
    await this.#broker.untilReady();
  }

  /**
   * The power goes, for the broker and the disk at once. Resolves when the disk is back, with nothing on it
   * but what had reached it.
   *
   * The broker is stopped first, for a machine without power acknowledges nothing any more: a sync that is
   * under way when ext4 is shut down can return as if all were well, although what it wrote is lost.
   *
   * @param tails whether the last pages of logs were written back before those before them.
   */
  async cut(seed: number, tails: boolean): Promise<void> {
    await this.#freeze();
    await this.disk.cutPower(seed, tails ? await this.#activeSegments() : []);
    await this.kill();
    await this.disk.unmount();
    this.disk.mount();
  }

  async kill(): Promise<void> {
    await this.#broker?.kill();
  }

  /** @returns the exit code of a graceful stop. */
  async stop(): Promise<number | null> {
    return (await this.#broker?.stop()) ?? null;
  }

  /** Resolves when its event loop, which answers clients, has come to a halt. */
  async #freeze(): Promise<void> {
    const pid = this.#broker?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    for (;;) {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
      // Behind the name of the program, which may hold anything.
      if (stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')) return;
    }
  }

  /** The last segment of each log. */
  async #activeSegments(): Promise<string[]> {
    const topics = join(this.dataDir, 'topics');
    const names = await readdir(topics, { recursive: true });
    const last = new Map<string, string>();
    for (const name of names.filter((file) => file.endsWith('.log')).sort()) {
      last.set(name.slice(0, name.lastIndexOf('/')), join(topics, name));
    }
    return [...last.values()];
  }
}
