import { setImmediate } from 'node:timers/promises';
import type { StorageFile } from './persistence/file.js';

/** Waits until the range is in the page cache, where that can be known and is not so already. */
export async function warmIfCold(
  file: StorageFile,
  position: number,
  length: number,
): Promise<void> {
  if (file.native?.residency(position, length) !== 'cold') return;
  await file.native.warm(position, length);
}

/** Lets everything else that waits for the event loop have its turn. */
export async function nextTurn(): Promise<void> {
  await setImmediate();
}
