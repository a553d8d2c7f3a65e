import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { FLUSH_TICK_MS, FlushScheduler } from '../../../broker/src/storage/flush-scheduler.js';
import { Flusher } from '../../../broker/src/storage/flusher.js';

/** A sync that ends when the test says so. */
class ControlledSync {
  readonly calls: { resolve(lsn: number): void; reject(error: Error): void }[] = [];
  readonly flusher = new Flusher(
    () => new Promise<number>((resolve, reject) => this.calls.push({ resolve, reject })),
  );
}

const settled = async (): Promise<void> => {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
};

describe('a flusher', () => {
  test('covers all who wait with one sync, in the order in which they came', async () => {
    const { flusher, calls } = new ControlledSync();
    const order: number[] = [];
    const waiting = [10, 20, 30].map((lsn) => flusher.waitFor(lsn).then(() => order.push(lsn)));
    expect(calls).toHaveLength(1);
    calls[0]?.resolve(30);
    await Promise.all(waiting);
    await flusher.idle();
    expect(order).toEqual([10, 20, 30]);
    expect(calls).toHaveLength(1);
    expect(flusher.syncedLsn).toBe(30);
    await flusher.waitFor(30);
    expect(calls).toHaveLength(1);
  });

  test('does not count a sync that began too early: one more follows', async () => {
    const { flusher, calls } = new ControlledSync();
    const first = flusher.waitFor(10);
    let done = false;
    const second = flusher.waitFor(20).then(() => (done = true));
    calls[0]?.resolve(10);
    await first;
    await settled();
    expect(done).toBe(false);
    expect(calls).toHaveLength(2);
    calls[1]?.resolve(20);
    await second;
  });

  test('a start while one runs means one more behind it, however often', async () => {
    const { flusher, calls } = new ControlledSync();
    for (let i = 0; i < 5; i += 1) flusher.start();
    calls[0]?.resolve(1);
    await settled();
    expect(calls).toHaveLength(2);
    expect(flusher.running).toBe(true);
    calls[1]?.resolve(1);
    await flusher.idle();
    expect(flusher.running).toBe(false);
    expect(calls).toHaveLength(2);
  });

  test('a failure is final: everyone is told, and nothing is synced again', async () => {
    const { flusher, calls } = new ControlledSync();
    const waiting = [1, 2, 3].map((lsn) => flusher.waitFor(lsn));
    flusher.start();
    const error = new Error('EIO');
    calls[0]?.reject(error);
    for (const wait of waiting) await expect(wait).rejects.toBe(error);
    await flusher.idle();
    await expect(flusher.waitFor(4)).rejects.toBe(error);
    flusher.start();
    expect(calls).toHaveLength(1);
    // What was durable before stays so.
    await flusher.waitFor(0);
  });

  test('failed from outside, it waits for the sync that runs but starts no other', async () => {
    const { flusher, calls } = new ControlledSync();
    const waiting = flusher.waitFor(5);
    const gone = new Error('deleted');
    flusher.fail(gone);
    await expect(waiting).rejects.toBe(gone);
    let idle = false;
    const idling = flusher.idle().then(() => (idle = true));
    await settled();
    expect(idle).toBe(false);
    calls[0]?.resolve(5);
    await idling;
    expect(calls).toHaveLength(1);
  });
});

describe('a flusher whose sync can be postponed', () => {
  const shortage = new Error('no room');
  const postponing = (): { flusher: Flusher; outcomes: (number | Error)[] } => {
    const outcomes: (number | Error)[] = [];
    const sync = (): Promise<number> => {
      const outcome = outcomes.shift() ?? new Error('one sync too many');
      return typeof outcome === 'number' ? Promise.resolve(outcome) : Promise.reject(outcome);
    };
    return { flusher: new Flusher(sync, (error) => error === shortage), outcomes };
  };

  test('lets everybody wait until it is started again', async () => {
    const { flusher, outcomes } = postponing();
    outcomes.push(shortage, shortage, 20);
    let done = 0;
    const waiting = [10, 20].map((lsn) => flusher.waitFor(lsn).then(() => (done += 1)));
    await flusher.idle();
    expect(flusher.postponed).toBe(shortage);
    flusher.start();
    await flusher.idle();
    expect(done).toBe(0);
    flusher.start();
    await Promise.all(waiting);
    await flusher.idle();
    expect(flusher.postponed).toBeUndefined();
    expect(flusher.failure).toBeUndefined();
  });

  test('still fails for good with any other error', async () => {
    const { flusher, outcomes } = postponing();
    outcomes.push(shortage, new Error('EIO'));
    const waiting = flusher.waitFor(1);
    await flusher.idle();
    flusher.start();
    await expect(waiting).rejects.toThrow('EIO');
    expect(flusher.failure?.message).toBe('EIO');
  });
});

test('who waits for a part that is durable already does not wait for the whole', async () => {
  const { flusher, calls } = new ControlledSync();
  const first = flusher.waitFor(10);
  const second = flusher.waitFor(20);
  flusher.advance(10);
  await first;
  expect(flusher.syncedLsn).toBe(10);
  // Never back.
  flusher.advance(5);
  expect(flusher.syncedLsn).toBe(10);
  calls[0]?.reject(new Error('EIO'));
  await expect(second).rejects.toThrow('EIO');
});

describe('a flush scheduler', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('ticks logs until they have nothing left to do, and is silent then', () => {
    let nowMs = 1000;
    const scheduler = new FlushScheduler(() => nowMs);
    expect(jest.getTimerCount()).toBe(0);
    const seen: number[] = [];
    let left = 3;
    const log = {
      tick: (at: number): boolean => {
        seen.push(at);
        left -= 1;
        return left > 0;
      },
    };
    scheduler.add(log);
    scheduler.add(log);
    for (let i = 0; i < 6; i += 1) {
      nowMs += 100;
      jest.advanceTimersByTime(FLUSH_TICK_MS);
    }
    expect(seen).toEqual([1100, 1200, 1300]);
    expect(jest.getTimerCount()).toBe(0);
    left = 1;
    scheduler.add(log);
    jest.advanceTimersByTime(FLUSH_TICK_MS);
    expect(seen).toHaveLength(4);
  });

  test('a removed log is not ticked, and close ends all', () => {
    const scheduler = new FlushScheduler(() => 0);
    let ticks = 0;
    const log = { tick: (): boolean => (ticks += 1) > 0 };
    const other = { tick: (): boolean => true };
    scheduler.add(log);
    scheduler.add(other);
    scheduler.remove(log);
    jest.advanceTimersByTime(FLUSH_TICK_MS * 3);
    expect(ticks).toBe(0);
    scheduler.close();
    expect(jest.getTimerCount()).toBe(0);
  });
});
