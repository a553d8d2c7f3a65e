import { costBetween, scrape } from '../broker/metrics.js';
import type { Metrics } from '../broker/metrics.js';
import { loadDriver } from '../drivers/index.js';
import type { DriverConnection, DriverTarget } from '../drivers/driver.js';
import { BenchError, messageOf } from '../errors.js';
import { runLoad } from '../load/run-load.js';
import type { LoadPlan } from '../load/run-load.js';
import type { BrokerCost, Measurement } from '../results/schema.js';
import { LiveLine } from './live-line.js';

/**
 * Runs a phase with its live line, and tells what it cost the broker when that can be asked.
 *
 * @param prepare called when the load is warm, before what is measured begins.
 * @returns undefined when it was ended before there was anything to measure.
 */
export async function measureLoad(
  plan: LoadPlan,
  label: string,
  signal: AbortSignal,
  httpAddress: string | undefined,
  prepare?: () => Promise<void>,
): Promise<Measurement | undefined> {
  const line = new LiveLine(label, plan.limit);
  let before: Metrics | undefined;
  let cost: BrokerCost | undefined;
  try {
    const measurement = await runLoad(plan, {
      signal,
      onProgress: line.update,
      onMeasureBegin: async () => {
        await prepare?.();
        if (httpAddress !== undefined) before = await scrape(httpAddress);
      },
      onMeasureEnd: async () => {
        if (httpAddress === undefined || before === undefined) return;
        cost = costBetween(before, await scrape(httpAddress));
      },
    });
    return measurement && cost ? { ...measurement, cost } : measurement;
  } finally {
    line.end();
  }
}

/** Connects, runs the work, and closes. @throws BenchError when nobody answers. */
export async function withConnection<Result>(
  target: DriverTarget,
  work: (connection: DriverConnection) => Promise<Result>,
): Promise<Result> {
  const driver = await loadDriver(target.driver);
  let connection: DriverConnection;
  try {
    connection = await driver.connect(target, 'bench');
  } catch (error) {
    throw new BenchError(
      `no ${target.driver} broker at ${target.address}: ${messageOf(error)}; start one, or name ` +
        'another',
      { cause: error },
    );
  }
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}
