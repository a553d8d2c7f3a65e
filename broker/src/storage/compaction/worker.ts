import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { ProtocolError } from '@millrace/protocol';
import { useNativeCrc } from '../../native-crc.js';
import { errnoOf } from '../errors.js';
import { compactSegments } from './compact-segments.js';
import type { CompactionJob } from './job.js';
import type { FromWorker, ToWorker, WorkerError } from './worker-messages.js';

/*
 * The entry of the compaction thread: runs one job at a time, and waits after each group until the
 * broker has put it in its place.
 */
if (parentPort === null) throw new Error('this file is the entry of a worker thread');
const port = parentPort;
lowerPriority();
useNativeCrc();
const post = (message: FromWorker): void => port.postMessage(message);
let goOn: () => void = () => undefined;

port.on('message', (message: ToWorker) => {
  if (message.type === 'go-on') goOn();
  else void run(message.job);
});

/** What serves clients comes first. Where it is not Linux this would lower the whole process. */
function lowerPriority(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // Then it takes its share like any other thread.
  }
}

async function run(job: CompactionJob): Promise<void> {
  try {
    const result = await compactSegments(job, {
      onGroup: (group) =>
        new Promise((resolve) => {
          goOn = resolve;
          post({ type: 'group', group });
        }),
    });
    post({ type: 'done', result });
  } catch (error) {
    post({ type: 'failed', error: toWorkerError(error) });
  }
}

function toWorkerError(error: unknown): WorkerError {
  const known = error instanceof Error ? error : new Error(String(error));
  return {
    message: known.message,
    stack: known.stack,
    errno: errnoOf(error),
    errorName: error instanceof ProtocolError ? error.errorName : undefined,
  };
}
