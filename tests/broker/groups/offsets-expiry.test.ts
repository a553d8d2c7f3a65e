import { expect, test } from '@jest/globals';
import { OffsetExpiry } from '../../../broker/src/groups/offset-expiry.js';
import { silentLogger } from '../../support/storage.js';
import { FakeClock } from './support/fake-clock.js';

/** What was looked at, with looks that end when the test says so. */
function setUp(): { clock: FakeClock; looks: ((error?: Error) => void)[]; expiry: OffsetExpiry } {
  const clock = new FakeClock();
  const looks: ((error?: Error) => void)[] = [];
  const coordinator = {
    expireOffsets: () =>
      new Promise<void>((resolve, reject) => {
        looks.push((error) => {
          if (error === undefined) resolve();
          else reject(error);
        });
      }),
  };
  return { clock, looks, expiry: new OffsetExpiry(coordinator, clock, 1_000, silentLogger) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('offsets are looked at again and again, one look at a time, also after one that failed', async () => {
  const { clock, looks, expiry } = setUp();
  await clock.pass(999);
  expect(looks).toHaveLength(0);
  await clock.pass(1);
  expect(looks).toHaveLength(1);
  await clock.pass(5_000);
  expect(looks).toHaveLength(1);
  looks[0]?.(new Error('a disk'));
  await turn();
  await clock.pass(1_000);
  expect(looks).toHaveLength(2);
  expiry.close();
  looks[1]?.();
  await turn();
  await clock.pass(10_000);
  expect(looks).toHaveLength(2);
});

test('nothing is looked at any more once it is closed', async () => {
  const { clock, looks, expiry } = setUp();
  expiry.close();
  await clock.pass(10_000);
  expect(looks).toHaveLength(0);
});
