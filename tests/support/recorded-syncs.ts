import { readlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** A sync of a file or a directory by Node's `FileHandle`, in the order in which they began. */
export interface RecordedSync {
  readonly path: string;
  readonly call: 'sync' | 'datasync';
}

/** Notes the syncs that go through Node's file handles while `work` runs. */
export async function recordSyncs(work: () => Promise<void>): Promise<RecordedSync[]> {
  const probe = await open('/dev/null', 'r');
  const prototype = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const syncs: RecordedSync[] = [];
  const method = (name: 'sync' | 'datasync'): ((this: FileHandle) => Promise<void>) =>
    Reflect.get(prototype, name);
  const originals = { sync: method('sync'), datasync: method('datasync') };
  const recording = (call: 'sync' | 'datasync') =>
    function (this: FileHandle): Promise<void> {
      syncs.push({ path: readlinkSync(`/proc/self/fd/${this.fd}`), call });
      return originals[call].call(this);
    };
  prototype.sync = recording('sync');
  prototype.datasync = recording('datasync');
  try {
    await work();
  } finally {
    Object.assign(prototype, originals);
  }
  return syncs;
}
