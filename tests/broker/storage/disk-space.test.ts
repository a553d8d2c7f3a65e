import { afterEach, describe, expect, test } from '@jest/globals';
import { ProtocolError } from '@millrace/protocol';
import { DiskSpace } from '../../../broker/src/storage/disk-space.js';
import { linesLogger } from './lines-logger.js';

const MIN = 1_000;
const entering = /nearly full/;
const leaving = /space on the disk again/;

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanUp.splice(0)) step();
});

/** A disk of which the test says how much is free. */
class FakeDisk {
  looks = 0;
  readonly lines = linesLogger();

  constructor(public freeBytes: number | Error) {}

  async watch(minFreeBytes = MIN): Promise<DiskSpace> {
    const space = await DiskSpace.watch({
      ...{ directory: '/data', minFreeBytes, logger: this.lines.logger },
      measure: () => {
        this.looks += 1;
        const free = this.freeBytes;
        return free instanceof Error ? Promise.reject(free) : Promise.resolve(free);
      },
    });
    cleanUp.push(() => space.close());
    return space;
  }
}

const refusal = (space: DiskSpace): unknown => {
  try {
    space.require('append to t-0');
    return undefined;
  } catch (error) {
    return error;
  }
};

describe('the space of a disk', () => {
  test('below the bound refuses, names the figures and what to do, and says so once', async () => {
    const disk = new FakeDisk(MIN - 1);
    const space = await disk.watch();
    for (let i = 0; i < 3; i += 1) await space.check();
    const error = refusal(space);
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ errorName: 'DISK_FULL', retriable: true });
    for (const part of ['t-0', '999 bytes', '/data', '1000', 'retention', 'minFreeDiskBytes']) {
      expect(String(error)).toContain(part);
    }
    expect(disk.lines.count(entering)).toBe(1);
    expect(disk.lines.find(entering)).toMatchObject({ freeBytes: 999, minFreeDiskBytes: MIN });
  });

  test('takes messages again when there is enough, and says so once', async () => {
    const disk = new FakeDisk(0);
    const space = await disk.watch();
    disk.freeBytes = MIN;
    for (let i = 0; i < 3; i += 1) await space.check();
    expect(refusal(space)).toBeUndefined();
    expect(disk.lines.count(leaving)).toBe(1);
  });

  test('is looked at when files may have used it up, and not for what they take before', async () => {
    const disk = new FakeDisk(3 * MIN);
    const space = await disk.watch();
    for (let i = 0; i < 4; i += 1) space.grew(MIN / 2);
    expect([disk.looks, space.freeBytes]).toEqual([1, MIN]);
    disk.freeBytes = MIN - 5;
    space.grew(1);
    await space.check();
    expect(disk.looks).toBe(2);
    expect(space.problem).toContain('995 bytes are free');
    for (let i = 0; i < 4; i += 1) space.grew(1);
    expect(disk.looks).toBe(2);
  });

  test('without a bound refuses nothing', async () => {
    const space = await new FakeDisk(0).watch(0);
    space.grew(10);
    await space.check();
    expect(refusal(space)).toBeUndefined();
  });

  test('that cannot be told refuses nothing, and that is said once', async () => {
    const disk = new FakeDisk(0);
    const space = await disk.watch();
    disk.freeBytes = new Error('gone');
    for (let i = 0; i < 3; i += 1) await space.check();
    expect([refusal(space), space.freeBytes]).toEqual([undefined, undefined]);
    expect(disk.lines.count(/cannot tell how full/)).toBe(1);
  });
});
