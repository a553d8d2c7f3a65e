import type { Worker } from 'node:worker_threads';
import { ProtocolError } from '@millrace/protocol';
import type { ErrorName } from '@millrace/protocol';
import { IdleWorker } from '../../idle-worker.js';
import type { CleanedGroup, CompactionJob, CompactionResult, JobControl } from './job.js';
import { inlineRunner } from './runner.js';
import type { CompactionRunner } from './runner.js';
import type { FromWorker, ToWorker, WorkerError } from './worker-messages.js';

/** What the thread's objects may take; the table of keys and the buffers are not among them. */
const MAX_OLD_SPACE_MB = 64;
const MAX_YOUNG_SPACE_MB = 8;

/**
 * The runner for this process. A worker thread loads compiled JavaScript only: where this module was
 * loaded from its TypeScript source, as test runners do, jobs run on the main thread.
 */
export function createRunner(moduleUrl = import.meta.url): CompactionRunner {
  if (!moduleUrl.endsWith('.js')) return inlineRunner;
  return new ThreadRunner(new URL('./worker.js', moduleUrl));
}

/** Runs jobs on a worker thread, which is started with the first and ended when it is idle. */
export class ThreadRunner implements CompactionRunner {
  readonly #thread: IdleWorker;

  constructor(entry: URL, idleMs?: number) {
    const resourceLimits = {
      maxOldGenerationSizeMb: MAX_OLD_SPACE_MB,
      maxYoungGenerationSizeMb: MAX_YOUNG_SPACE_MB,
    };
    const idle = idleMs === undefined ? {} : { idleMs };
    this.#thread = new IdleWorker(entry, { name: 'compaction', resourceLimits, ...idle });
  }

  /** True while there is a thread. */
  get isStarted(): boolean {
    return this.#thread.isStarted;
  }

  async run(job: CompactionJob, control: JobControl): Promise<CompactionResult> {
    control.signal?.throwIfAborted();
    try {
      const result = await converse(this.#thread.acquire(), job, control);
      this.#thread.release();
      return result;
    } catch (error) {
      // Whatever state the thread is in: the next job gets a new one.
      await this.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}

/** Has `worker` run one job. */
function converse(
  worker: Worker,
  job: CompactionJob,
  { onGroup, signal }: JobControl,
): Promise<CompactionResult> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      signal?.removeEventListener('abort', onAbort);
      settle();
    };
    // Whatever else happens, a swap that is under way is waited for: it is made, or it is not.
    let swapping: Promise<void> = Promise.resolve();
    const fail = (error: unknown): void => {
      const reason = error instanceof Error ? error : new Error(String(error));
      const rejectNow = (): void => reject(reason);
      end(() => void swapping.then(rejectNow, rejectNow));
    };
    const onError = (error: unknown): void => fail(error);
    const onExit = (code: number): void =>
      fail(new Error(`the compaction thread ended with code ${code}`));
    const onAbort = (): void => fail(signal?.reason);
    const takeGroup = (group: CleanedGroup): void => {
      swapping = onGroup(group);
      swapping.then(() => send(worker, { type: 'go-on' }), fail);
    };
    const onMessage = (message: FromWorker): void => {
      if (message.type === 'group') takeGroup(message.group);
      else if (message.type === 'done') end(() => resolve(message.result));
      else fail(toError(message.error));
    };
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    signal?.addEventListener('abort', onAbort);
    send(worker, { type: 'run', job });
  });
}

function send(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}

function toError({ message, stack, errno, errorName }: WorkerError): Error {
  const error =
    errorName === undefined
      ? Object.assign(new Error(message), errno === undefined ? {} : { code: errno })
      : new ProtocolError(errorName as ErrorName, message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
