import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { BenchError, messageOf } from '../errors.js';
import type { LoadLimit, LoadSpec } from '../load/spec.js';
import { isOpenLoop } from '../load/spec.js';
import { formatBytes } from '../util/units.js';

/** Framing, indexes and what is allocated ahead, on top of the values. */
const OVERHEAD = 1.3;
const ALLOCATED_AHEAD_BYTES = 256 * 2 ** 20;
const FRAMING_BYTES = 80;

/** A broker that was killed may be within a call that makes one more file. */
const REMOVAL = { recursive: true, force: true, maxRetries: 5 } as const;

/** Directories that runs make are removed even when the process ends in the middle of something. */
const made = new Set<string>();
process.on('exit', () => {
  for (const path of made) rmSync(path, REMOVAL);
});

/**
 * A new directory within `parent`, removed by {@link removeDirectory} or when the process ends.
 *
 * @throws BenchError where none can be made.
 */
export async function makeDirectory(parent = tmpdir()): Promise<string> {
  let path: string;
  try {
    await mkdir(parent, { recursive: true });
    path = mkdtempSync(join(parent, 'millrace-bench-'));
  } catch (error) {
    throw new BenchError(
      `no directory can be made in ${parent}: ${messageOf(error)}; give another --data-dir`,
      { cause: error },
    );
  }
  made.add(path);
  return path;
}

export function removeDirectory(path: string): void {
  rmSync(path, REMOVAL);
  made.delete(path);
}

/**
 * Refuses a load for which there is no room.
 *
 * @throws BenchError that tells what is free and what is needed.
 */
export function checkRoom(directory: string, spec: LoadSpec, limit: LoadLimit): void {
  const needed = (storedBytes(spec, limit) ?? 0) * OVERHEAD + ALLOCATED_AHEAD_BYTES;
  const { bavail, bsize } = statfsSync(existingParent(directory));
  const free = bavail * bsize;
  if (needed <= free) return;
  throw new BenchError(
    `${directory} has ${formatBytes(free)} free, and this load needs about ` +
      `${formatBytes(needed)}: give a smaller --bytes or --messages, or another --data-dir`,
  );
}

/** The directory, or where it will be made. */
function existingParent(directory: string): string {
  let path = resolve(directory);
  while (!existsSync(path) && path !== dirname(path)) path = dirname(path);
  return path;
}

/** What will be stored in bytes; undefined of a closed loop for a time, where it is not known before. */
export function storedBytes(spec: LoadSpec, limit: LoadLimit): number | undefined {
  if ('bytes' in limit) return limit.bytes;
  const message = (spec.payload.minBytes + spec.payload.maxBytes) / 2 + FRAMING_BYTES;
  if ('messages' in limit) return limit.messages * message;
  return isOpenLoop(spec) ? (limit.durationMs / 1_000) * spec.ratePerSecond * message : undefined;
}
