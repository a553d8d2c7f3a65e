/* A process with a load in it, told by its parent what to do: see `load-messages.ts`. */
import { seededRandom } from '../../support/seed.js';
import { HistoryRecorder } from '../checker/recorder.js';
import { Load } from './load.js';
import type { LoadAnswer, LoadOrder } from './load-messages.js';

const PROGRESS_INTERVAL_MS = 20;

const history = new HistoryRecorder();
let load: Load | undefined;

function answer(told: LoadAnswer): void {
  if (process.connected) process.send?.(told);
}

async function obey(order: LoadOrder): Promise<void> {
  if (order.type === 'start') {
    load = new Load(order.address, history, seededRandom(order.seed), order.options);
    load.start();
    setInterval(() => {
      const read = history.readings.reduce((sum, { records }) => sum + records.length, 0);
      answer({ type: 'progress', acknowledged: load?.acknowledged ?? 0, read });
    }, PROGRESS_INTERVAL_MS);
    answer({ type: 'started' });
    return;
  }
  if (load === undefined) throw new Error(`${order.type} before start`);
  if (order.type === 'settle') {
    await load.settle();
    answer({ type: 'settled' });
    return;
  }
  await load.catchUp(order.logs);
  const { producers, readings, commits, outages, logs } = history;
  answer({
    type: 'done',
    // Recorders are classes, and their methods cannot travel.
    history: {
      ...{ readings, commits, outages, logs },
      producers: producers.map(({ name, acks, idempotent, sent }) => ({
        ...{ name, acks, idempotent, sent },
      })),
    },
    troubles: [...load.failures, ...load.errorCodes],
  });
}

process.on('message', (order: LoadOrder) => {
  obey(order).catch((error: unknown) => {
    process.stderr.write(`load process: ${error instanceof Error ? error.stack : ''}\n`);
    process.exit(1);
  });
});
// By then the parent has all that it wanted.
process.on('disconnect', () => process.exit(0));
