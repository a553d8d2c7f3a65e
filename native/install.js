// Builds the native module during `npm ci`. Where that cannot be done the install must still
// succeed: the broker then runs on Node's own API (`--persist write --serve copy`). One line tells
// which it was.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const addonFile = join(root, 'build', 'Release', 'millrace_native.node');
const stampFile = join(root, 'build', 'Release', 'millrace_native.stamp');
const logFile = join(root, 'build', 'install.log');

/** What a build depends on; the same stamp means that there is nothing to do. */
function stamp() {
  const hash = createHash('sha256');
  const require = createRequire(import.meta.url);
  hash.update(`${process.platform} ${process.arch} ${process.versions.modules} `);
  hash.update(require('node-addon-api').version);
  const sources = readdirSync(join(root, 'src')).sort();
  for (const file of ['binding.gyp', ...sources.map((name) => join('src', name))]) {
    hash.update(`\n${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

/** The node-gyp that npm carries (npm names it to install scripts), else one on PATH. */
function findNodeGyp() {
  const beside = (path) => join(dirname(path), '..', 'node_modules/node-gyp/bin/node-gyp.js');
  const scripts = [
    process.env.npm_config_node_gyp,
    process.env.npm_execpath && beside(process.env.npm_execpath),
    join(
      dirname(process.execPath),
      '../lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js',
    ),
  ];
  const script = scripts.find((path) => path?.endsWith('.js') && existsSync(path));
  if (script) return [process.execPath, [script]];
  const onPath = spawnSync('node-gyp', ['--version'], { stdio: 'ignore' });
  return onPath.status === 0 ? ['node-gyp', []] : ['npx', ['--no-install', 'node-gyp']];
}

/** Headers that came with this Node save a download, and work without a network. */
function headerOptions() {
  if (process.env.npm_config_nodedir) return [];
  const prefix = join(dirname(process.execPath), '..');
  return existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
}

function build() {
  const [command, args] = findNodeGyp();
  const options = ['rebuild', '--release', '--jobs=max', ...headerOptions()];
  const result = spawnSync(command, [...args, ...options], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  mkdirSync(dirname(logFile), { recursive: true });
  const output = [result.stdout, result.stderr, result.error];
  writeFileSync(logFile, output.map((part) => `${part ?? ''}\n`).join(''));
  return result.status === 0 && existsSync(addonFile);
}

function unavailable(reason, remedy) {
  console.log(
    `@millrace/native: ${reason}, so the broker can only run ` +
      `--persist write --serve copy; ${remedy}.`,
  );
}

function main() {
  const again = 'run `npm rebuild @millrace/native` to build it';
  if (process.env.MILLRACE_SKIP_NATIVE === '1') {
    unavailable('not built as MILLRACE_SKIP_NATIVE=1', `unset it and ${again}`);
  } else if (process.platform !== 'linux') {
    unavailable(
      `not built as it needs Linux, not ${process.platform}`,
      'the other modes need Linux',
    );
  } else if (
    existsSync(addonFile) &&
    existsSync(stampFile) &&
    readFileSync(stampFile, 'utf8') === stamp()
  ) {
    console.log('@millrace/native: already built.');
  } else if (build()) {
    writeFileSync(stampFile, stamp());
    console.log('@millrace/native: built.');
  } else {
    unavailable(
      `the build failed (see ${logFile})`,
      `install a C++17 compiler, make and Python 3, then ${again}`,
    );
  }
}

try {
  main();
} catch (error) {
  unavailable(
    `the build could not be tried (${error.message})`,
    'fix that and run `npm rebuild @millrace/native`',
  );
}
