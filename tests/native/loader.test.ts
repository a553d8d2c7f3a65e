import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from '@jest/globals';
import { loadNative, nativeProblem } from '@millrace/native';
import { describeNative, useDirectory } from './helpers.js';

const packageDirectory = fileURLToPath(new URL('../../native/', import.meta.url));

describe('the switch MILLRACE_NO_NATIVE', () => {
  afterEach(() => {
    delete process.env['MILLRACE_NO_NATIVE'];
  });

  test.each(['1', '0', 'yes'])('set to %j makes the module behave as not built', (value) => {
    process.env['MILLRACE_NO_NATIVE'] = value;
    expect(loadNative()).toBeUndefined();
    expect(nativeProblem()).toMatch(/MILLRACE_NO_NATIVE/);
  });

  test('does nothing when empty', () => {
    const usual = nativeProblem();
    process.env['MILLRACE_NO_NATIVE'] = '';
    expect(nativeProblem()).toBe(usual);
  });
});

describeNative('the loader', (native) => {
  test('gives the same module each time, and no problem', () => {
    expect(loadNative()).toBe(native);
    expect(nativeProblem()).toBeUndefined();
  });
});

describe('the install script', () => {
  const directory = useDirectory();
  /** A clean clone of the package, as far as the script is concerned. */
  function clone(): string {
    const target = directory.file('native');
    for (const part of ['src', 'binding.gyp', 'install.js', 'package.json']) {
      cpSync(`${packageDirectory}${part}`, `${target}/${part}`, { recursive: true });
    }
    mkdirSync(`${target}/node_modules`);
    const addonApi = fileURLToPath(import.meta.resolve('node-addon-api/package.json')).replace(
      /package\.json$/,
      '',
    );
    symlinkSync(addonApi, `${target}/node_modules/node-addon-api`);
    return target;
  }
  const install = (
    cwd: string,
    env: NodeJS.ProcessEnv,
  ): { status: number | null; lines: string[] } => {
    const result = spawnSync(process.execPath, ['install.js'], {
      cwd,
      env: { ...process.env, ...env },
      encoding: 'utf8',
    });
    return { status: result.status, lines: result.stdout.trim().split('\n') };
  };

  test('succeeds with one line that tells what to do when it is to skip the build', () => {
    const { status, lines } = install(clone(), { MILLRACE_SKIP_NATIVE: '1' });
    expect(status).toBe(0);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/MILLRACE_SKIP_NATIVE.*--persist write --serve copy.*npm rebuild/);
  });

  test('succeeds with one line that tells what to do when there is no compiler', () => {
    const { status, lines } = install(clone(), { CXX: '/nonexistent/c++' });
    expect(status).toBe(0);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/build failed.*--persist write --serve copy.*install a C\+\+17 comp/);
  });
});
