import { beforeAll, describe, expect, test } from '@jest/globals';
import { runTool } from '../broker/cli/run-tool.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { cutAgainAndAgain } from './power-cut/cuts.js';
import type { CutsFindings } from './power-cut/cuts.js';
import { compiled, missingCompiler } from './support/compiled.js';
import { faultLength, faultTimeoutMs, skipped } from './support/length.js';
import { LoopDisk } from './support/loop-disk.js';

/** A disk goes through so many, so that what one cut leaves is there in the next. */
const CUTS_PER_DISK = 10;
/** Without syncs one is enough. */
const CONTROL_CUTS = 1;

const timeoutMs = faultTimeoutMs('power-cut');

let missing: string | undefined;
beforeAll(async () => {
  missing = missingCompiler() ?? (await LoopDisk.missing());
  if (missing !== undefined) skipped('power cuts', missing);
});

/** What the run was worth, on one line. */
function tell(what: string, { anomalies, problems, ...facts }: CutsFindings): void {
  const found = { anomalies: anomalies.length, problems: problems.length };
  process.stdout.write(`${what}: ${JSON.stringify({ ...facts, ...found })}\n`);
}

describe('a power cut', () => {
  test(
    'takes nothing that was synced, and of the rest only the end',
    async () => {
      if (missing !== undefined) return;
      const random = seededRandom(testSeed());
      for (let left = faultLength('power-cut'); left > 0; left -= CUTS_PER_DISK) {
        const cuts = Math.min(left, CUTS_PER_DISK);
        await cutAgainAndAgain({ cuts, random }, async (findings, dataDir) => {
          tell(`power cuts: ${cuts} of ${left}`, findings);
          expect(findings.problems).toEqual([]);
          expect(findings.acknowledged).toBeGreaterThan(0);
          const { code, stdout } = await runTool('verify', dataDir);
          expect({ code, stdout: code === 0 ? '' : stdout }).toEqual({ code: 0, stdout: '' });
        });
      }
    },
    timeoutMs,
  );

  test(
    'takes what was acknowledged when syncs do nothing: the control of the test above',
    async () => {
      if (missing !== undefined) return;
      const random = seededRandom(testSeed());
      const preload = compiled('no-sync', 'library');
      await cutAgainAndAgain({ cuts: CONTROL_CUTS, random, preload }, (findings) => {
        tell('control', findings);
        expect(findings.problems).not.toEqual([]);
        return Promise.resolve();
      });
    },
    timeoutMs,
  );
});
