import { execFile, execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { makeTempDir } from '../../support/temp-dir.js';
import { compiled } from './compiled.js';

const run = promisify(execFile);

/** How often an unmount is tried, 10 ms apart: what a killed process holds goes a little later. */
const UNMOUNT_ATTEMPTS = 500;

export interface LoopDiskOptions {
  readonly sizeBytes: number;
  /** For mount(8), beside `loop`. */
  readonly mountOptions?: readonly string[];
}

/** A disk of its own: an ext4 in a file, mounted over a loop device. Needs root and e2fsprogs. */
export class LoopDisk {
  #mounted = false;

  private constructor(
    private readonly image: string,
    /** Where it is mounted. */
    readonly path: string,
    private readonly options: LoopDiskOptions,
    private readonly removeFiles: () => Promise<void>,
  ) {}

  /** Why this machine has none, in a line; undefined where it has. */
  static async missing(): Promise<string | undefined> {
    try {
      const disk = await LoopDisk.make({ sizeBytes: 8 * 2 ** 20 });
      await disk.remove();
      return undefined;
    } catch (error) {
      const [reason] = (error instanceof Error ? error.message : String(error)).trim().split('\n');
      return `it needs root, loop devices and mkfs.ext4 (${reason ?? ''})`;
    }
  }

  /** Makes an empty one and mounts it. */
  static async make(options: LoopDiskOptions): Promise<LoopDisk> {
    const { path: directory, remove } = await makeTempDir();
    const image = join(directory, 'image');
    const file = openSync(image, 'wx');
    ftruncateSync(file, options.sizeBytes);
    closeSync(file);
    const disk = new LoopDisk(image, join(directory, 'disk'), options, remove);
    try {
      // Nothing is left to be initialised in the background: runs are alike.
      const settled = 'lazy_itable_init=0,lazy_journal_init=0';
      execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', '-E', settled, image], { stdio: 'pipe' });
      await mkdir(disk.path);
      disk.mount();
      return disk;
    } catch (error) {
      await remove();
      throw error;
    }
  }

  mount(): void {
    const options = ['loop', ...(this.options.mountOptions ?? [])].join(',');
    execFileSync('mount', ['-t', 'ext4', '-o', options, this.image, this.path], { stdio: 'pipe' });
    this.#mounted = true;
  }

  /** Waits for whoever still uses it. What was not written back before a power cut is gone after this. */
  async unmount(): Promise<void> {
    for (let attempt = 1; this.#mounted; attempt += 1) {
      try {
        execFileSync('umount', [this.path], { stdio: 'pipe' });
        this.#mounted = false;
      } catch (error) {
        if (attempt === UNMOUNT_ATTEMPTS) throw error;
        await delay(10);
      }
    }
  }

  /**
   * Cuts its power: from now on nothing reaches the device, and every call fails with EIO. Of the files
   * in `tails` the last page, and one at random before it, were written back just before.
   */
  async cutPower(seed: number, tails: readonly string[] = []): Promise<void> {
    await run(compiled('cut-power', 'program'), [this.path, String(seed), ...tails]);
  }

  /** Unmounts and removes it. */
  async remove(): Promise<void> {
    await this.unmount();
    await this.removeFiles();
  }
}
