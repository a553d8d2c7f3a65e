import './seam/install.js';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { losses } from './seam/losses.js';
import { recorder } from './seam/recorder.js';
import { SimulatedDisk } from './seam/simulated-disk.js';
import { materialize, removeTree } from './seam/trees.js';

const { CheckpointFile } = await import('../../broker/src/storage/checkpoint.js');

test('a short write of a checkpoint is continued: it holds once it was said to, wherever a crash comes', async () => {
  const root = await materialize(new Map());
  recorder.begin(root);
  try {
    const file = await CheckpointFile.load(join(root, 'checkpoint'));
    await file.update({ position: 1 });
    await file.update({ position: 2 });
    let short = true;
    recorder.inject(({ syscall }) => {
      if (syscall !== 'write' || !short) return undefined;
      short = false;
      return { code: 'EIO', how: 'short' };
    });
    const from = recorder.operations.length;
    await file.update({ position: 3 });
    const written = recorder.operations.length;
    await file.update({ position: 4 });
    const operations = [...recorder.operations];
    recorder.end();
    const disk = new SimulatedDisk();
    for (const [done, operation] of operations.entries()) {
      disk.apply(operation);
      if (done < from) continue;
      for (const loss of losses) {
        const left = await materialize(disk.afterPowerCut(loss));
        const { current } = await CheckpointFile.load(join(left, 'checkpoint'));
        expect(current?.position).toBeGreaterThanOrEqual(done + 1 >= written ? 3 : 2);
        await removeTree(left);
      }
    }
  } finally {
    recorder.end();
    await removeTree(root);
  }
});
