import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, truncateSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import {
  addonPath,
  createFile,
  describeNative,
  pattern,
  thrownBy,
  useDirectory,
} from './helpers.js';

const MIB = 1024 * 1024;

/** Cuts the file under its mapping and writes there, again and again. */
const faultingWorker = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { truncateSync } = require('node:fs');
  const native = require(workerData.addonPath);
  const file = native.openFile(workerData.path, 'create');
  const mapping = file.map(1 << 20, 'write');
  const bytes = Buffer.alloc(100_000, workerData.fill);
  let faults = 0;
  for (let i = 0; i < 200; i += 1) {
    file.allocate(0, 1 << 20);
    mapping.write([bytes], 300_000);
    truncateSync(workerData.path, 350_000);
    try { mapping.write([bytes], 300_000); } catch (error) { faults += error.code === 'EIO'; }
  }
  parentPort.postMessage(faults);`;

describeNative('a page that cannot be had', (native) => {
  const directory = useDirectory();

  test('fails the write that needs it, and nothing else', () => {
    const file = createFile(native, directory.file(), Buffer.alloc(0));
    file.allocate(0, MIB);
    const mapping = file.map(MIB, 'write');
    const failuresBefore = native.counters().failures;
    for (let round = 1; round <= 3; round += 1) {
      mapping.write([pattern(MIB, round)], 0);
      truncateSync(file.path, 123_456);
      const chunks = Array.from({ length: 50 }, (_, index) => pattern(4000, index));
      expect(thrownBy(() => mapping.write(chunks, 0))).toMatchObject({
        code: 'EIO',
        syscall: 'write',
        path: file.path,
        message: expect.stringContaining('it was cut, or its disk failed or is full'),
      });
      // What is there still can be written to, and so can what comes back.
      mapping.write([pattern(100)], 5);
      file.allocate(0, MIB);
      mapping.write([pattern(200_000)], MIB - 200_000);
      const seen = Buffer.alloc(200_000);
      file.read(seen, MIB - 200_000);
      expect(seen.equals(pattern(200_000))).toBe(true);
    }
    expect(native.counters().failures - failuresBefore).toBe(3);
    mapping.unmap();
    file.close();
  });

  test('fails it in each thread on its own', async () => {
    const workers = [1, 2, 3].map(
      (fill) =>
        new Worker(faultingWorker, {
          eval: true,
          workerData: { addonPath, fill, path: directory.file(`data-${fill}`) },
        }),
    );
    const counts = await Promise.all(
      workers.map(async (worker) => (await once(worker, 'message')) as [number]),
    );
    expect(counts).toEqual([[200], [200], [200]]);
  });

  test('fails it also when another module took over the signal, and hands on', () => {
    // A copy is another module to the loader: its handler stands in front of the first one's.
    const copy = directory.file('copy.node');
    copyFileSync(addonPath, copy);
    const code = `
      const { truncateSync } = require('node:fs');
      for (const [index, native] of [${JSON.stringify(addonPath)}, ${JSON.stringify(copy)}]
        .map((path) => require(path)).entries()) {
        const file = native.openFile(process.argv[1] + index, 'create');
        file.allocate(0, 1 << 20);
        const mapping = file.map(1 << 20, 'write');
        truncateSync(file.path, 0);
        try { mapping.write([Buffer.alloc(10)], 0); } catch (error) { console.log(error.code); }
      }`;
    const { stdout } = spawnSync(process.execPath, ['-e', code, directory.file()]);
    expect(stdout.toString()).toBe('EIO\nEIO\n');
  });

  test('leaves the signal to whom it was for when it is not of a mapping', () => {
    const code = (listener: string): string =>
      `require(${JSON.stringify(addonPath)}); ${listener} process.kill(process.pid, 'SIGBUS');
       setTimeout(() => console.log('alive'), 50);`;
    expect(spawnSync(process.execPath, ['-e', code('')]).signal).toBe('SIGBUS');
    const heard = "process.on('SIGBUS', () => console.log('heard'));";
    const { stdout } = spawnSync(process.execPath, ['-e', code(heard)]);
    expect(stdout.toString()).toBe('heard\nalive\n');
  });
});
