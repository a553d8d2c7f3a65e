/** `npm run test:docker`: builds the image, tests it on a real engine, and removes all that it made. */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';

const root = fileURLToPath(new URL('../..', import.meta.url));
const jest = fileURLToPath(new URL('../../node_modules/jest/bin/jest.js', import.meta.url));

const command = new Command('npm run test:docker --')
  .description(
    'Tests of the Docker image and the compose file, with the engine that `docker` finds.',
  )
  .argument('[patterns...]', 'only these test files')
  .option('--image <name>', 'tests this image instead of building one; it is not removed')
  .parse();

/** Resolves to the exit code; interrupted, it lets the child end, so that what it made is removed. */
function run(program, args, environment = {}) {
  const child = spawn(program, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

function docker(...args) {
  return spawnSync('docker', args, { encoding: 'utf8' });
}

/** Removes what carries the label of this run: whatever the tests left, and what they may not remove. */
function removeAll(label, image) {
  const listed = (...args) =>
    docker(...args, '-q')
      .stdout.split('\n')
      .filter(Boolean);
  for (const filter of [`label=${label}`, `label=com.docker.compose.project=${projectOf(label)}`]) {
    for (const [kind, ...all] of [['container', '-a'], ['volume'], ['network']]) {
      const names = listed(kind, 'ls', ...all, '--filter', filter);
      const how = kind === 'network' ? [] : kind === 'volume' ? ['-f'] : ['-f', '-v'];
      if (names.length > 0) docker(kind, 'rm', ...how, ...names);
    }
  }
  if (image === undefined) return;
  docker('image', 'rm', '-f', image);
  // The stages before the last one, which the classic builder keeps as images without a name.
  docker('image', 'prune', '-f', '--filter', 'label=org.millrace.stage=build');
}

function projectOf(label) {
  return `millrace-test-${label.split('=')[1]}`;
}

async function main() {
  const engine = docker('version', '--format', '{{.Server.Version}}');
  if (engine.status !== 0) {
    const why = engine.error?.message ?? engine.stderr.trim().split('\n').at(-1);
    process.stdout.write(`skipped: tests of the Docker image: no engine answers (${why})\n`);
    return 0;
  }
  const runId = randomBytes(4).toString('hex');
  const label = `org.millrace.test=${runId}`;
  const { image: given } = command.opts();
  const built = given === undefined ? `millrace-test:${runId}` : undefined;
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
  try {
    if (built !== undefined) {
      const args = ['build', '--network', 'host', '--label', label, '-t', built, '.'];
      const code = await run('docker', args);
      if (code !== 0) return code;
    }
    return await run(
      process.execPath,
      [
        ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
        ...[jest, '--config', 'tests/docker/jest.config.js', '--runInBand', ...command.args],
      ],
      {
        MILLRACE_TEST_IMAGE: given ?? built,
        MILLRACE_TEST_LABEL: label,
        MILLRACE_TEST_PROJECT: projectOf(label),
      },
    );
  } finally {
    removeAll(label, built);
  }
}

process.exitCode = await main();
