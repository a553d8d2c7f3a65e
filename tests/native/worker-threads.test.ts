import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import { addonPath, createFile, describeNative, pattern, useDirectory } from './helpers.js';

const MIB = 1024 * 1024;

/**
 * Leaves as much unfinished as it can: jobs waiting and running in every pool, polls armed on full
 * sockets, files and mappings open. `end` is then run.
 */
const busy = (end: string): string => `
  const { parentPort, workerData } = require('node:worker_threads');
  const net = require('node:net');
  const native = require(workerData.addonPath);
  const file = native.openFile(workerData.path, 'readwrite');
  const mapping = file.map(file.size(), 'write');
  const server = net.createServer((near) => {
    const writer = native.socketWriter(near._handle.fd);
    while (writer.sendFile(file, 0, file.size()) > 0);
    writer.onceWritable(() => { throw new Error('nobody read anything'); });
    for (let i = 0; i < 10; i += 1) {
      mapping.write([Buffer.alloc(4096, i)], i * 4096);
      file.sync(); mapping.sync(0, file.size()); mapping.populate(0, file.size());
      file.warm(0, file.size()); native.syncDirectory(workerData.directory).catch(() => {});
    }
    ${end}
  });
  server.listen(0, '127.0.0.1', () => net.connect(server.address().port, '127.0.0.1').pause());`;

describeNative('worker threads', (native) => {
  const directory = useDirectory();
  const start = (code: string): Worker =>
    new Worker(code, {
      eval: true,
      workerData: { addonPath, path: directory.file(), directory: directory.path },
    });
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const mappings = (): number =>
    readFileSync('/proc/self/maps', 'utf8').split(directory.file()).length - 1;

  test('each have counters and pools of their own', async () => {
    createFile(native, directory.file(), pattern(MIB)).close();
    const before = native.counters().fdatasync.calls;
    const worker = start(`
      const { parentPort, workerData } = require('node:worker_threads');
      const native = require(workerData.addonPath);
      const file = native.openFile(workerData.path, 'readwrite');
      Promise.all([file.sync(), file.sync(), file.warm(0, file.size())]).then(() => {
        parentPort.postMessage(native.counters().fdatasync.calls);
      });`);
    const exited = once(worker, 'exit');
    expect(await once(worker, 'message')).toEqual([2]);
    expect(await exited).toEqual([0]);
    expect(native.counters().fdatasync.calls).toBe(before);
  });

  test('can be terminated fifty times with jobs pending and polls armed', async () => {
    createFile(native, directory.file(), pattern(MIB)).close();
    const run = async (): Promise<void> => {
      const worker = start(busy(`parentPort.postMessage('busy');`));
      await once(worker, 'message');
      await worker.terminate();
    };
    await run();
    const before = descriptors();
    for (let i = 0; i < 25; i += 1) await Promise.all([run(), run()]);
    expect(descriptors()).toBe(before);
    expect(mappings()).toBe(0);
  });

  test('can be terminated at any moment of their start', async () => {
    createFile(native, directory.file(), pattern(MIB)).close();
    for (let i = 0; i < 10; i += 1) {
      const worker = start(busy(''));
      await once(worker, 'online');
      for (let turn = 0; turn < i; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      await worker.terminate();
    }
    expect(mappings()).toBe(0);
  });

  test('may exit by themselves in the middle of it', async () => {
    createFile(native, directory.file(), pattern(MIB)).close();
    for (let i = 0; i < 5; i += 1) {
      expect(await once(start(busy('process.exit(7);')), 'exit')).toEqual([7]);
    }
    expect(mappings()).toBe(0);
  });

  test('report what a callback throws as their uncaught exception', async () => {
    createFile(native, directory.file(), pattern(MIB)).close();
    const worker = start(
      busy(`native.socketWriter(near._handle.fd).close();
        const idle = net.connect(server.address().port, '127.0.0.1', () => {
          server.removeAllListeners('connection');
          const writer = native.socketWriter(idle._handle.fd);
          writer.onceWritable(() => { throw new TypeError('mine'); });
        });`),
    );
    const [error] = (await once(worker, 'error')) as [Error];
    expect(error).toMatchObject({ name: 'TypeError', message: 'mine' });
  });

  test('the main thread may exit in the middle of it, too', () => {
    createFile(native, directory.file(), pattern(MIB)).close();
    const data = JSON.stringify({ addonPath, path: directory.file(), directory: directory.path });
    const code = `const real = require; {
      const require = (id) => id === 'node:worker_threads' ? { workerData: ${data} } : real(id);
      ${busy('process.exit(0);')} }`;
    for (let i = 0; i < 5; i += 1) execFileSync(process.execPath, ['-e', code]);
  });

  test('an unfinished job keeps a process alive, an idle pool does not', () => {
    createFile(native, directory.file(), pattern(MIB)).close();
    const code = `
      const native = require(process.argv[1]);
      const file = native.openFile(process.argv[2], 'readwrite');
      file.sync().then(() => console.log('synced'));`;
    const args = ['-e', code, addonPath, directory.file()];
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe('synced\n');
  });
});
