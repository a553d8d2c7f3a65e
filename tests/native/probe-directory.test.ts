import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { describeNative, thrownBy, useDirectory } from './helpers.js';

describeNative('probeDirectory', (native) => {
  const directory = useDirectory();

  test('tells what works here and leaves nothing behind', () => {
    mkdirSync(directory.file('probed'));
    const probe = native.probeDirectory(directory.file('probed'));
    expect(probe).toEqual({
      fallocate: expect.any(Boolean),
      mmap: expect.any(Boolean),
      sendfile: expect.any(Boolean),
      residency: expect.stringMatching(/^(cachestat|nowait|none)$/),
      detail: expect.any(String),
    });
    const works = probe.fallocate && probe.mmap && probe.sendfile && probe.residency !== 'none';
    expect(probe.detail === '').toBe(works);
    expect(readdirSync(directory.file('probed'))).toEqual([]);
  });

  test('says so where no file can be made', () => {
    expect(thrownBy(() => native.probeDirectory(directory.file('missing')))).toMatchObject({
      code: 'ENOENT',
      path: directory.file('missing'),
    });
    writeFileSync(directory.file('plain'), '');
    expect(thrownBy(() => native.probeDirectory(directory.file('plain'))).code).toBe('ENOTDIR');
    if (existsSync('/proc/self')) {
      expect(thrownBy(() => native.probeDirectory('/proc')).code).toMatch(/^E(NOENT|ACCES|PERM)$/);
    }
  });
});
