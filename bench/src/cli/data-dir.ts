import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchError } from '../errors.js';
import type { LoadLimit, LoadSpec } from '../load/spec.js';
import { isOpenLoop } from '../load/spec.js';
import { formatBytes } from '../util/units.js';

/** Framing, indexes and what is allocated ahead, on top of the values. */
const OVERHEAD = 1.3;
const ALLOCATED_AHEAD_BYTES = 256 * 2 ** 20;
const FRAMING_BYTES = 80;

/** Directories that runs make are removed even when the process ends in the middle of something. */
const made = new Set<string>();
process.on('exit', () => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** A new directory within `parent`, removed by {@link removeDirectory} or when the process ends. */
export async function makeDirectory(parent = tmpdir()): Promise<string> {
  await mkdir(parent, { recursive: true });
  const path = mkdtempSync(join(parent, 'millrace-bench-'));
  made.add(path);
  return path;
}

export function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true });
  made.delete(path);
}

/**
 * Refuses a load for which there is no room.
 *
 * @throws BenchError that tells what is free and what is needed.
 */
export function checkRoom(directory: string, spec: LoadSpec, limit: LoadLimit): void {
  const needed = bytesOf(spec, limit) * OVERHEAD + ALLOCATED_AHEAD_BYTES;
  const { bavail, bsize } = statfsSync(directory);
  const free = bavail * bsize;
  if (needed <= free) return;
  throw new BenchError(
    `${directory} has ${formatBytes(free)} free, and this load needs about ` +
      `${formatBytes(needed)}: give a smaller --bytes or --messages, or another --data-dir`,
  );
}

/** What will be stored, as far as it is known before. */
function bytesOf(spec: LoadSpec, limit: LoadLimit): number {
  if ('bytes' in limit) return limit.bytes;
  const message = (spec.payload.minBytes + spec.payload.maxBytes) / 2 + FRAMING_BYTES;
  if ('messages' in limit) return limit.messages * message;
  return isOpenLoop(spec) ? (limit.durationMs / 1_000) * spec.ratePerSecond * message : 0;
}
