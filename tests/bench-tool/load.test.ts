import { describe, expect, test } from '@jest/globals';
import type { DriverConnection, DriverProducer } from '../../bench/src/drivers/driver.js';
import { findMaxRate } from '../../bench/src/load/find-max-rate.js';
import { generatorLimit } from '../../bench/src/load/generator-limit.js';
import { LatencyRecorder, mergeLatencies } from '../../bench/src/load/latency.js';
import { makePayloads, stampOf } from '../../bench/src/load/payload.js';
import { ProducerWorker } from '../../bench/src/load/producer-worker.js';
import type { LoadSpec, PayloadSpec } from '../../bench/src/load/spec.js';
import type { Measurement } from '../../bench/src/results/schema.js';

const spec: LoadSpec = {
  target: { driver: 'millrace', address: '' },
  topic: 't',
  partitions: 1,
  producers: 1,
  consumers: 1,
  payload: { kind: 'zeros', minBytes: 10, maxBytes: 10 },
  keys: 0,
  batchBytes: 1,
  lingerMs: 0,
  acks: 1,
  compression: 'none',
  ratePerSecond: 0,
  pacing: 'spin',
  api: 'send',
  inFlight: 4,
  fetchBytes: 1,
  checkCrc: true,
  consume: { from: 'beginning', atEnd: 'wait' },
  stamped: false,
};

const measurement: Measurement = {
  phase: 'produce',
  latencies: {},
  series: [],
  generator: { busiest: 0, cpuSeconds: 0 },
};

/** A broker of which only the producer is there. */
function connectionWith(producer: Partial<DriverProducer>): DriverConnection {
  const whole = {
    copies: true,
    send: () => Promise.resolve(),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
    ...producer,
  };
  return { producer: () => Promise.resolve(whole) } as unknown as DriverConnection;
}

describe('an open loop', () => {
  test('counts what a stall delays from when it was to be sent', async () => {
    const STALL_MS = 150;
    let sends = 0;
    const send = (): Promise<void> => {
      sends += 1;
      const untilMs = performance.now() + (sends === 50 ? STALL_MS : 0);
      while (performance.now() < untilMs); // the whole process stalls
      return Promise.resolve();
    };
    const open: LoadSpec = { ...spec, ratePerSecond: 1_000 };
    const worker = await ProducerWorker.open(open, 0, connectionWith({ send }));
    const report = await worker.run({ messages: 300 });
    expect(report.messages).toBe(300);
    const publish = mergeLatencies([report.latencies.publish ?? '']);
    const delay = mergeLatencies([report.latencies.publishDelay ?? '']);
    // A third of the messages were to be sent while it stalled; the last of those waited least.
    expect(publish?.count).toBe(300);
    expect(publish?.p90Us).toBeGreaterThan(STALL_MS * 300);
    expect(delay?.maxUs).toBeGreaterThan(STALL_MS * 800);
  });

  test('sends its share of the messages and no more', async () => {
    const open: LoadSpec = { ...spec, ratePerSecond: 1_000_000, producers: 2 };
    const worker = await ProducerWorker.open(open, 1, connectionWith({}));
    expect((await worker.run({ messages: 1_001 })).messages).toBe(501);
  });
});

describe('a closed loop', () => {
  test('has no more in flight than it may', async () => {
    let inFlight = 0;
    let most = 0;
    const send = async (): Promise<void> => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      inFlight -= 1;
    };
    const worker = await ProducerWorker.open(spec, 0, connectionWith({ send }));
    const report = await worker.run({ bytes: 1_000 });
    expect([report.messages, report.bytes, most]).toEqual([100, 1_000, 4]);
  });

  test('tells failures apart from what was sent', async () => {
    let sends = 0;
    const send = (): Promise<void> => {
      sends += 1;
      return sends % 10 === 0 ? Promise.reject(new Error('no')) : Promise.resolve();
    };
    const worker = await ProducerWorker.open(spec, 0, connectionWith({ send }));
    const { errors, firstError, messages } = await worker.run({ messages: 100 });
    expect({ errors, firstError, messages }).toEqual({
      errors: 10,
      firstError: 'no',
      messages: 90,
    });
  });

  test('ends when it is stopped, with what it did', async () => {
    const worker = await ProducerWorker.open(spec, 0, connectionWith({}));
    const running = worker.run({ messages: Number.MAX_SAFE_INTEGER });
    setImmediate(() => {
      worker.stop();
    });
    expect((await running).messages).toBeGreaterThan(0);
  });
});

describe('payloads', () => {
  test.each(['random', 'json', 'zeros'] as const)(
    '%s carry a time, in sizes of the range',
    (kind) => {
      const range: PayloadSpec = { kind, minBytes: 100, maxBytes: 120 };
      const payloads = makePayloads(range);
      const sizes = new Set(payloads.map(({ length }) => length));
      expect([Math.min(...sizes), Math.max(...sizes)]).toEqual([100, 120]);
      const [first = Buffer.alloc(0)] = payloads;
      const stamp = stampOf(kind);
      stamp.write(first, 12_345.678);
      expect(stamp.read(first)).toBeCloseTo(12_345.678, 2);
      if (kind === 'json') expect(JSON.parse(first.toString())).toHaveProperty('sentUs');
      expect(makePayloads(range).map(({ length }) => length)).toEqual(
        payloads.map((p) => p.length),
      );
    },
  );
});

test('latencies of several workers are merged, not averaged', () => {
  const [quick, slow] = [new LatencyRecorder(), new LatencyRecorder()];
  for (let i = 0; i < 99; i += 1) quick.recordMs(1);
  slow.recordMs(500);
  const merged = mergeLatencies([quick.encode(), slow.encode()]);
  expect(merged?.count).toBe(100);
  expect(merged?.p99Us).toBeLessThan(1_010);
  expect(merged?.maxUs).toBeGreaterThan(499_000);
  expect(mergeLatencies([])).toBeUndefined();
});

describe('the highest rate', () => {
  const probeUpTo =
    (limit: number, probed: number[]) =>
    (rate: number): Promise<{ held: boolean; measurement: Measurement }> => {
      probed.push(rate);
      return Promise.resolve({ held: rate <= limit, measurement });
    };

  test.each([300, 1_000, 47_000, 2_000_000])('is found to within 5 %% of %d', async (limit) => {
    const probed: number[] = [];
    const found = await findMaxRate(probeUpTo(limit, probed), new AbortController().signal);
    expect(found.ratePerSecond).toBeLessThanOrEqual(limit);
    expect(found.ratePerSecond * 1.05).toBeGreaterThanOrEqual(limit - 1);
    expect(found.probes).toBe(probed.length);
  });

  test('is 0 when none is held, and what was found when it is interrupted', async () => {
    const { signal } = new AbortController();
    expect((await findMaxRate(probeUpTo(0, []), signal)).best).toBeUndefined();
    const controller = new AbortController();
    const probe = probeUpTo(Infinity, []);
    const found = await findMaxRate((rate) => {
      if (rate > 4_000) controller.abort();
      return probe(rate);
    }, controller.signal);
    expect(found.ratePerSecond).toBe(4_000);
  });
});

describe('who was the limit', () => {
  const workers = [{ name: 'producer 0', busy: 0.99 }];

  test('is the generator when a worker has no time to spare', () => {
    expect(generatorLimit({ workers, openLoop: undefined, idle: 0.5 })).toContain('producer 0');
  });

  test('is the machine when no core is idle, and nobody otherwise', () => {
    const idleWorkers = [{ name: 'producer 0', busy: 0.3 }];
    const load = { workers: idleWorkers, openLoop: undefined };
    expect(generatorLimit({ ...load, idle: 0.01 })).toContain('cores were busy');
    expect(generatorLimit({ ...load, idle: 0.5 })).toBeUndefined();
  });

  test('is told of an open loop that fell behind, and not of one that spins', () => {
    const behind = { rate: 1_000, achieved: 900 };
    expect(generatorLimit({ workers, openLoop: behind, idle: 0.5 })).toContain('900 of 1,000');
    const kept = { rate: 1_000, achieved: 999 };
    expect(generatorLimit({ workers, openLoop: kept, idle: 0.5 })).toBeUndefined();
  });
});
