/**
 * `npm run test:asan [-- SUITES]`: builds the native module with AddressSanitizer and UndefinedBehaviorSanitizer and
 * runs the tests that use it most. Everything happens in a copy of the sources: the normal build stays.
 * Fails on any report of either, and on memory that the module leaks.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const ALL_SUITES = ['tests/native', 'tests/broker/serve', 'tests/broker/storage/persistence'];
const SUITES = process.argv.length > 2 ? process.argv.slice(2) : ALL_SUITES;
/** The sanitizers make everything several times slower. */
const TEST_TIMEOUT_MS = 900_000;

const SANITIZE = '-fsanitize=address,undefined';
// node-gyp builds without RTTI, which the check of virtual tables would need.
const FLAGS = [SANITIZE, '-fno-sanitize=vptr', '-fno-sanitize-recover=all'];
const COMPILE = [...FLAGS, '-fno-omit-frame-pointer', '-g', '-O1'].join(' ');

/**
 * Allocations of which LeakSanitizer cannot know better: what `napi_create_external` makes is held by
 * V8's heap, where it does not look; of a promise that is pending when its thread ends Node-API frees
 * nothing, whatever is done (8 bytes each).
 */
const NOT_LEAKED = ['napi_create_external', 'napi_create_promise'];

/** The runtime that Node, which is not built with it, must load first; undefined where there is none. */
function findRuntime() {
  const compiler = process.env.CXX ?? 'c++';
  const { stdout, status } = spawnSync(compiler, ['-print-file-name=libasan.so'], {
    encoding: 'utf8',
  });
  const path = stdout?.trim() ?? '';
  return status === 0 && path.startsWith('/') && existsSync(path) ? path : undefined;
}

function copySources(to) {
  const left = new Set(['build', 'dist', 'node_modules']);
  for (const part of ['native', 'protocol', 'broker', 'tests', 'jest.config.js', 'package.json']) {
    const filter = (path) => !left.has(path.split('/').at(-1));
    cpSync(join(root, part), join(to, part), { recursive: true, filter });
  }
  // The module may have a version of node-addon-api of its own.
  for (const modules of ['node_modules', 'native/node_modules']) {
    if (existsSync(join(root, modules))) symlinkSync(join(root, modules), join(to, modules));
  }
}

function build(directory) {
  const env = { ...process.env, CXXFLAGS: COMPILE, LDFLAGS: SANITIZE };
  spawnSync(process.execPath, ['native/install.js'], { cwd: directory, env, stdio: 'inherit' });
  if (existsSync(join(directory, 'native/build/Release/millrace_native.node'))) return true;
  const log = join(directory, 'native/build/install.log');
  process.stdout.write(existsSync(log) ? readFileSync(log, 'utf8').slice(-4000) : '');
  return false;
}

/** @returns the exit code of the tests. */
function runTests(directory, runtime, logs) {
  const jest = join(root, 'node_modules/jest/bin/jest.js');
  const { status } = spawnSync(
    process.execPath,
    [
      ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest],
      ...['--runInBand', '--testTimeout', String(TEST_TIMEOUT_MS), ...SUITES],
    ],
    {
      cwd: directory,
      stdio: 'inherit',
      env: {
        ...process.env,
        LD_PRELOAD: runtime,
        // SIGBUS is the module's own business, and a test's.
        ASAN_OPTIONS: `detect_leaks=1:handle_sigbus=0:log_path=${join(logs, 'asan')}`,
        UBSAN_OPTIONS: `print_stacktrace=1:log_path=${join(logs, 'ubsan')}`,
        // Node and the compilers that tests start leak; what is ours is looked for in the reports.
        LSAN_OPTIONS: 'exitcode=0',
      },
    },
  );
  return status;
}

/** Whether the module asked for the leaked memory itself, and not Node or V8 when it was called by it. */
function isOurs(report) {
  const frames = report.split('\n').filter((line) => /^\s+#\d+ /.test(line));
  return frames.find((frame) => /millrace::|v8::|node::|napi_/.test(frame))?.includes('millrace::');
}

/** The reports that concern the module: every one but leaks of others. */
function reportsIn(logs) {
  return readdirSync(logs).flatMap((name) => {
    const text = readFileSync(join(logs, name), 'utf8');
    if (!text.includes('LeakSanitizer')) return [text];
    return text
      .split('\n\n')
      .filter((part) => /^(Direct|Indirect) leak/.test(part.trim()))
      .filter(isOurs)
      .filter((part) => !NOT_LEAKED.some((name) => part.includes(name)));
  });
}

function main() {
  const runtime = process.platform === 'linux' ? findRuntime() : undefined;
  if (runtime === undefined) {
    process.stdout.write(
      'skipped: test:asan: this compiler has no libasan.so (GCC on Linux has)\n',
    );
    return 0;
  }
  const directory = mkdtempSync(join(tmpdir(), 'millrace-asan-'));
  const logs = mkdtempSync(join(tmpdir(), 'millrace-asan-logs-'));
  try {
    copySources(directory);
    if (!build(directory)) {
      process.stdout.write('test:asan: the build with sanitizers failed\n');
      return 1;
    }
    const status = runTests(directory, runtime, logs);
    const reports = reportsIn(logs);
    for (const report of reports) process.stdout.write(`${report}\n`);
    process.stdout.write(`test:asan: ${reports.length} reports, tests ended with ${status}\n`);
    return reports.length === 0 && status === 0 ? 0 : 1;
  } finally {
    for (const path of [directory, logs]) rmSync(path, { recursive: true, force: true });
  }
}

process.exitCode = main();
