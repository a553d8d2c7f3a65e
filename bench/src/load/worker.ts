/** A producer or a consumer in a process of its own: started by `WorkerProcess`, told by messages. */
import { loadDriver } from '../drivers/index.js';
import type { DriverConnection } from '../drivers/driver.js';
import { ConsumerWorker } from './consumer-worker.js';
import { ProducerWorker } from './producer-worker.js';
import { TICK_MS } from './phase-counts.js';
import type { FromWorker, ToWorker } from './worker-messages.js';

const worker: { role?: ProducerWorker | ConsumerWorker; connection?: DriverConnection } = {};

function say(message: FromWorker): void {
  if (process.connected) process.send?.(message);
}

async function open(message: Extract<ToWorker, { type: 'open' }>): Promise<void> {
  const { index, partitions, role, spec } = message;
  const driver = await loadDriver(spec.target.driver);
  worker.connection = await driver.connect(spec.target, `bench-${role}-${index}`);
  worker.role =
    role === 'producer'
      ? await ProducerWorker.open(spec, index, worker.connection)
      : await ConsumerWorker.open(spec, index, partitions, worker.connection, failed);
  say({ type: 'opened' });
}

async function handle(message: ToWorker): Promise<void> {
  switch (message.type) {
    case 'open':
      await open(message);
      return;
    case 'run': {
      const ticker = setInterval(() => {
        if (worker.role !== undefined) say({ type: 'tick', tick: worker.role.tick() });
      }, TICK_MS);
      const report = await worker.role?.run(message.limit);
      clearInterval(ticker);
      if (worker.role !== undefined) say({ type: 'tick', tick: worker.role.tick() });
      if (report !== undefined) say({ type: 'done', report });
      return;
    }
    case 'stop':
      worker.role?.stop();
      return;
    case 'close':
      await worker.role?.close();
      await worker.connection?.close();
      say({ type: 'closed' });
      process.disconnect();
  }
}

function failed(error: unknown): void {
  say({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
}

// Ctrl-C reaches the whole group of processes: the parent decides what becomes of it.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
// Nobody is left to measure for.
process.on('disconnect', () => process.exit());
process.on('message', (message) => {
  handle(message as ToWorker).catch(failed);
});
