import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { testSeed } from '../support/seed.js';
import { faultLength, faultTimeoutMs } from './support/length.js';

const command = fileURLToPath(new URL('fuzz/run.js', import.meta.url));

/** A slow machine does this many inputs a second at the least. */
const MIN_INPUTS_PER_SECOND = 500;

interface Finding {
  readonly type: 'finding';
  readonly kind: 'threw' | 'hang' | 'memory' | 'died';
  readonly seed: number;
  readonly index: number;
  readonly target?: string;
  readonly detail: string;
  /** The input; missing where its thread died of it: `--only` tells. */
  readonly hex?: string;
}

interface Summary {
  readonly type: 'summary';
  readonly done: number;
  readonly refusals: number;
  readonly findings: number;
  readonly perSecond: number;
}

interface Outcome {
  readonly findings: readonly Finding[];
  readonly summary: Summary | undefined;
  readonly exit: string;
}

/** Feeds inputs to everything that parses bytes from the network, in a process of its own. */
async function fuzz(seed: number, inputs: number, ...more: string[]): Promise<Outcome> {
  const args = ['--seed', String(seed), '--inputs', String(inputs), ...more];
  const child = spawn(process.execPath, [command, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  const lines = output.split('\n').filter((line) => line.startsWith('{'));
  const parsed = lines.map((line) => JSON.parse(line) as Finding | Summary);
  return {
    findings: parsed.filter((line) => line.type === 'finding'),
    summary: parsed.find((line) => line.type === 'summary'),
    exit: String(code ?? signal),
  };
}

test('finds what throws, hangs and allocates, and repeats it by seed and number', async () => {
  const { findings, exit } = await fuzz(11, 8_000, '--planted');
  expect(exit).toBe('1');
  const kinds = new Set(findings.map(({ kind, target }) => `${target ?? ''}: ${kind}`));
  expect([...kinds].sort()).toEqual([
    'planted: allocates: memory',
    'planted: hangs: hang',
    'planted: throws: threw',
  ]);
  const [finding] = findings.filter(({ kind }) => kind === 'threw');
  expect(Buffer.from(finding?.hex ?? '', 'hex').toString()).toBe('throw 7');
  expect(finding?.detail).toMatch(/TypeError: planted\n.*planted\.js/);
  const again = await fuzz(11, 1, '--planted', '--only', String(finding?.index));
  expect(again.findings).toMatchObject([{ kind: 'threw', hex: finding?.hex, seed: 11 }]);
});

test(
  'bytes from the network are read or refused, whatever they are',
  async () => {
    const seed = testSeed();
    const inputs = faultLength('fuzz');
    const { findings, summary, exit } = await fuzz(seed, inputs);
    const again = `node tests/faults/fuzz/run.js --seed ${seed} --only INDEX; exit ${exit}`;
    expect({ findings, again }).toEqual({ findings: [], again });
    expect(exit).toBe('0');
    expect(summary?.done).toBe(inputs);
    // Inputs that are all refused at once, or all accepted, would test nothing.
    expect(summary?.refusals).toBeGreaterThan(inputs / 10);
    expect(summary?.refusals).toBeLessThan((inputs * 9) / 10);
    const { perSecond = 0, refusals = 0 } = summary ?? {};
    process.stdout.write(`${inputs} inputs, ${refusals} refused, ${perSecond} a second\n`);
  },
  faultTimeoutMs('fuzz', 1_000 / MIN_INPUTS_PER_SECOND),
);
