import { describe, expect, test } from '@jest/globals';
import { seededRandom, testSeed } from '../../support/seed.js';
import { anomalyKinds } from './anomaly.js';
import { checkHistory } from './check-history.js';
import { cleanHistory, copyOf, type Pick } from './model-log.js';
import { mutants } from './mutants.js';

const CLEAN_HISTORIES = 60;
const MUTANTS_OF_A_KIND = 20;

const random = seededRandom(testSeed());
const pick: Pick = (bound) => Math.floor(random() * bound);

test.each([
  { powerCuts: false, how: 'kills' },
  { powerCuts: true, how: 'kills and power cuts' },
])('a log that keeps its promises through $how passes', ({ powerCuts }) => {
  let excused = 0;
  let unknown = 0;
  for (let run = 0; run < CLEAN_HISTORIES; run += 1) {
    const findings = checkHistory(cleanHistory(pick, powerCuts));
    expect(findings.anomalies).toEqual([]);
    excused += findings.excused;
    unknown += findings.unknown;
  }
  expect(unknown).toBeGreaterThan(0);
  expect(excused > 0).toBe(powerCuts);
});

test('there is a mutant of each anomaly', () => {
  expect(new Set(mutants.map(({ kind }) => kind))).toEqual(new Set(anomalyKinds));
});

describe.each(mutants)('$kind: $what', ({ kind, powerCuts, apply }) => {
  test('is found each time', () => {
    let applied = 0;
    for (let run = 0; applied < MUTANTS_OF_A_KIND; run += 1) {
      if (run > MUTANTS_OF_A_KIND * 50) throw new Error(`only ${applied} histories had a place`);
      const history = copyOf(cleanHistory(pick, powerCuts));
      if (!apply(history, pick)) continue;
      applied += 1;
      const kinds = new Set(checkHistory(history).anomalies.map((anomaly) => anomaly.kind));
      expect([...kinds]).toContain(kind);
    }
  });
});
