import { expect, jest, test } from '@jest/globals';

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

test('the clock that processes share is right though the process had to wait while it was set', async () => {
  const read = performance.now.bind(performance);
  const late = jest.spyOn(performance, 'now').mockImplementationOnce(() => {
    for (const untilMs = read() + 20; read() < untilMs;);
    return read();
  });
  const { monotonicMs } = await import('../../bench/src/util/clock.js');
  expect(late).toHaveBeenCalled();
  late.mockRestore();
  const before = nowMs();
  const told = monotonicMs();
  const after = nowMs();
  expect(told).toBeGreaterThanOrEqual(before - 1);
  expect(told).toBeLessThanOrEqual(after + 1);
});
