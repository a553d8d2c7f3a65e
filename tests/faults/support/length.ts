import { readFileSync } from 'node:fs';

interface Scenario {
  readonly short: number;
  readonly long: number;
  readonly unit: string;
  readonly what: string;
}

const scenarios = JSON.parse(
  readFileSync(new URL('../scenarios.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Scenario>>;

/** What one unit of length may take at most. */
const LIMIT_PER_UNIT_MS = 60_000;

/**
 * How long a fault test is: the short length in `npm test`, what `npm run test:faults` was asked for
 * otherwise. Lengths and their units stand in `scenarios.json`.
 */
export function faultLength(name: string): number {
  const scenario = scenarios[name];
  if (scenario === undefined) throw new Error(`scenarios.json has no ${name}`);
  const given = process.env['MILLRACE_FAULT_LENGTHS'];
  if (given === undefined) return scenario.short;
  const lengths = JSON.parse(given) as Readonly<Record<string, number>>;
  return lengths[name] ?? scenario.short;
}

/** The time limit of a fault test, in ms: generous, for it only ends what hangs. */
export function faultTimeoutMs(name: string, perUnitMs = LIMIT_PER_UNIT_MS): number {
  return 120_000 + faultLength(name) * perUnitMs;
}

/** Says on one line that a test was skipped, and why; nothing is skipped without it. */
export function skipped(what: string, why: string): void {
  process.stdout.write(`skipped: ${what}: ${why}\n`);
}
