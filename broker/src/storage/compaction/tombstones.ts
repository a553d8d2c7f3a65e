import type { CompletedPass } from './manifest.js';

/** How many passes are remembered of each log at most. */
const MAX_PASSES = 64;
/** Passes within this share of `delete.retention.ms` count as one. */
const PASSES_PER_RETENTION = 32;

/*
 * When a tombstone may go. A reader that has seen a key's old value must be able to get to the
 * tombstone behind it. The old value is gone with the first pass over the tombstone; so whoever has
 * read it began before that pass ended, and gets `delete.retention.ms` from there. (KIP-534 gives that
 * time by a horizon stored in each batch. Here the end of each pass is remembered with the offset
 * that it got to, which leaves the batches as their producers made them.)
 *
 * Where a pass is forgotten, its tombstones count as those of the next one: they stay longer, never
 * shorter.
 */

/** Adds a pass over the log up to `to`, which ended now. */
export function withPass(
  passes: readonly CompletedPass[],
  to: number,
  nowMs: number,
  deleteRetentionMs: number,
): readonly CompletedPass[] {
  const bucketMs = Math.max(1, Math.floor(deleteRetentionMs / PASSES_PER_RETENTION));
  const bucket = Math.floor(nowMs / bucketMs);
  const horizon = tombstoneHorizon(passes, nowMs, deleteRetentionMs);
  const others = passes.filter(
    (pass) => pass.to >= horizon && Math.floor(pass.endedAtMs / bucketMs) !== bucket,
  );
  return [...others, { to, endedAtMs: nowMs }].slice(-MAX_PASSES);
}

/** Tombstones below this offset have been kept for `deleteRetentionMs` after their first pass. */
export function tombstoneHorizon(
  passes: readonly CompletedPass[],
  nowMs: number,
  deleteRetentionMs: number,
): number {
  const old = passes.filter((pass) => nowMs - pass.endedAtMs >= deleteRetentionMs);
  return Math.max(0, ...old.map((pass) => pass.to));
}
