import { describe, expect, test } from '@jest/globals';
import type { CompletedPass } from '../../../../broker/src/storage/compaction/manifest.js';
import {
  tombstoneHorizon,
  withPass,
} from '../../../../broker/src/storage/compaction/tombstones.js';
import { seededRandom, testSeed } from '../../../support/seed.js';

const RETENTION_MS = 1_000;

describe('the tombstone horizon', () => {
  test('is where a pass got to that ended delete.retention.ms ago', () => {
    let passes = withPass([], 100, 5_000, RETENTION_MS);
    passes = withPass(passes, 200, 5_500, RETENTION_MS);
    expect(tombstoneHorizon(passes, 5_999, RETENTION_MS)).toBe(0);
    expect(tombstoneHorizon(passes, 6_000, RETENTION_MS)).toBe(100);
    expect(tombstoneHorizon(passes, 6_500, RETENTION_MS)).toBe(200);
  });

  test('is that of the last pass at once when nothing is to be retained', () => {
    expect(tombstoneHorizon(withPass([], 7, 50, 0), 50, 0)).toBe(7);
  });

  test('is never too far, hardly late, and costs a bounded number of passes', () => {
    const random = seededRandom(testSeed());
    let passes: readonly CompletedPass[] = [];
    const all: CompletedPass[] = [];
    let nowMs = 10_000;
    for (let to = 1; to < 3_000; to += 1) {
      nowMs += Math.floor(random() * 10);
      passes = withPass(passes, to, nowMs, RETENTION_MS);
      all.push({ to, endedAtMs: nowMs });
      expect(passes.length).toBeLessThanOrEqual(64);
      const exact = tombstoneHorizon(all, nowMs, RETENTION_MS);
      const late = tombstoneHorizon(all, nowMs - RETENTION_MS / 16, RETENTION_MS);
      const horizon = tombstoneHorizon(passes, nowMs, RETENTION_MS);
      expect(horizon).toBeLessThanOrEqual(exact);
      expect(horizon).toBeGreaterThanOrEqual(late);
    }
  });
});
