import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { connectionsThatFit, openFilesLimit } from '../../../broker/src/descriptor-limit.js';
import { prepareDataDir } from '../../../broker/src/data-dir.js';
import { makeDirectories } from '../../../broker/src/storage/make-directories.js';
import { skipped } from '../../faults/support/length.js';
import { keepingLogger } from '../support/listener.js';
import { temporaryDirectory } from '../support/temporary.js';

const binary = fileURLToPath(new URL('../../../broker/bin/millrace-broker.js', import.meta.url));

describe('making directories', () => {
  test('makes what is missing, and leaves what is there', () => {
    const root = temporaryDirectory();
    const path = join(root, 'a', 'b', 'c');
    makeDirectories(path);
    writeFileSync(join(path, 'file'), '');
    makeDirectories(path);
    expect(existsSync(join(path, 'file'))).toBe(true);
  });

  test('follows links to directories', () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, 'real'));
    symlinkSync(join(root, 'real'), join(root, 'link'));
    makeDirectories(join(root, 'link', 'a'));
    expect(existsSync(join(root, 'real', 'a'))).toBe(true);
  });

  test.each([
    ['a file in its place', (root: string) => join(root, 'file'), 'EEXIST'],
    ['a file above it', (root: string) => join(root, 'file', 'a', 'b'), 'EEXIST'],
    ['a link to nothing in its place', (root: string) => join(root, 'link'), 'EEXIST'],
    ['a filesystem without directories of its own', () => '/proc/x/y', 'ENOENT'],
  ])('gives up at %s', (_name, pathIn, code) => {
    const root = temporaryDirectory();
    writeFileSync(join(root, 'file'), '');
    symlinkSync(join(root, 'nothing'), join(root, 'link'));
    expect(() => makeDirectories(pathIn(root))).toThrow(expect.objectContaining({ code }));
    expect(() => prepareDataDir(pathIn(root))).toThrow(
      /^cannot use the data directory .*--data-dir$/,
    );
  });

  test('a data directory that cannot be is one line and exit code 1', () => {
    const args = [binary, '--data-dir', '/proc/x/y', '--listen', '127.0.0.1:0', '--http', 'off'];
    const { status, stderr } = spawnSync(process.execPath, args, { timeout: 20_000 });
    expect(String(stderr)).toMatch(/^[^\n]*\/proc\/x\/y[^\n]*--data-dir\n$/);
    expect(status).toBe(1);
  });
});

describe('what belongs to another user', () => {
  const NOBODY = 65_534;
  const start = (dataDir: string): string => {
    const args = [binary, '--data-dir', dataDir, '--listen', '127.0.0.1:0', '--http', 'off'];
    const { status, stderr } = spawnSync(process.execPath, args, { uid: NOBODY, timeout: 20_000 });
    expect(status).toBe(1);
    return String(stderr);
  };
  const asRoot = process.geteuid?.() === 0;
  if (!asRoot) skipped('data directories of other users', 'only root can make some');
  const told = `user ${NOBODY} may not write there, it belongs to user 0;`;

  (asRoot ? test : test.skip)('a data directory', () => {
    const root = temporaryDirectory();
    chmodSync(root, 0o755);
    expect(start(root)).toBe(
      `millrace-broker: cannot use the data directory ${root}: ${told} change that, or choose ` +
        'another by --data-dir\n',
    );
  });

  (asRoot ? test : test.skip)('a file in it', () => {
    const root = temporaryDirectory();
    chmodSync(root, 0o777);
    const lock = join(root, 'lock');
    writeFileSync(lock, '', { mode: 0o644 });
    expect(start(root)).toBe(
      `millrace-broker: cannot use ${lock}: ${told} give this user all of the data directory, or ` +
        'choose another by --data-dir\n',
    );
  });
});

describe('a limit on open files', () => {
  const config = { maxConnections: 10_000, maxOpenSegmentFiles: 512 };

  test('that is high enough changes nothing', () => {
    const { logger, lines } = keepingLogger();
    for (const limit of [undefined, 20_612, 1_000_000]) {
      expect(connectionsThatFit(config, limit, 2, logger)).toBe(10_000);
    }
    expect(connectionsThatFit(config, 10_612, 1, logger)).toBe(10_000);
    expect(lines).toEqual([]);
  });

  test.each([
    [20_611, 9_999],
    [1_024, 206],
    [300, 1],
  ])('of %d leaves %d connections, with a warning', (limit, connections) => {
    const { logger, lines } = keepingLogger();
    expect(connectionsThatFit(config, limit, 2, logger)).toBe(connections);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`may open ${limit} files`);
    expect(lines[0]).toContain('up to 20612');
    expect(lines[0]).toContain('lower maxConnections');
  });

  test('is read where the system tells it', () => {
    const path = join(temporaryDirectory(), 'limits');
    const line = 'Max open files            4096                 524288               files     \n';
    writeFileSync(path, `Limit  Soft Limit  Hard Limit  Units\n${line}`);
    expect(openFilesLimit(path)).toBe(4_096);
    writeFileSync(path, line.replace('4096', 'unlimited'));
    expect(openFilesLimit(path)).toBeUndefined();
    expect(openFilesLimit(`${path}.missing`)).toBeUndefined();
  });
});
