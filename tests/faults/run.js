/** `npm run test:faults`: the long versions of the fault tests, all or some, with a seed that repeats them. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const scenarios = JSON.parse(readFileSync(at('scenarios.json'), 'utf8'));

const count = (text) => {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new InvalidArgumentError('It takes a whole number.');
  }
  return Number(text);
};

const command = new Command('npm run test:faults --')
  .description('Long fault tests. Without a scenario: all of them, at their long length.')
  .option('--seed <number>', 'repeats a run: the number that it printed', count)
  .option('--short', 'the lengths of npm test instead of the long ones');
for (const [name, { long, unit, what }] of Object.entries(scenarios)) {
  command.option(`--${name} [count]`, `${what} (default ${long} ${unit})`, count);
}
command.parse();

const { seed = Math.floor(Math.random() * 2 ** 32), short = false, ...chosen } = command.opts();
const camel = (name) => name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
const names = Object.keys(scenarios);
const asked = names.filter((name) => chosen[camel(name)] !== undefined);
const run = asked.length === 0 ? names : asked;
const lengths = Object.fromEntries(
  run.map((name) => {
    const given = chosen[camel(name)];
    return [name, typeof given === 'number' ? given : scenarios[name][short ? 'short' : 'long']];
  }),
);
const patterns = run.map((name) => `tests/faults/${name}\\.`);
const again = run.map((name) => `--${name} ${lengths[name]}`).join(' ');
process.stdout.write(`seed ${seed}; again: npm run test:faults -- --seed ${seed} ${again}\n`);

const child = spawn(
  process.execPath,
  [
    ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
    ...[at('../../node_modules/jest/bin/jest.js'), '--runInBand', ...patterns],
  ],
  {
    cwd: at('../..'),
    stdio: 'inherit',
    env: {
      ...process.env,
      MILLRACE_FAULT_LENGTHS: JSON.stringify(lengths),
      MILLRACE_TEST_SEED: String(seed),
    },
  },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  process.stdout.write(`seed ${seed}; again: npm run test:faults -- --seed ${seed} ${again}\n`);
  process.exitCode = signal === null ? (code ?? 1) : 1;
});
