import type { Worker } from 'node:worker_threads';
import { ProtocolError } from '@millrace/protocol';
import type { ByteChunks, ErrorName } from '@millrace/protocol';
import { IdleWorker } from '../../idle-worker.js';
import { inlineFinder } from './finder.js';
import type { NullKeyFinder } from './finder.js';
import type { NullKeyAnswer, NullKeyQuestion } from './messages.js';

/** What the thread's objects may take; batches, packed or not, are not among them. */
const MAX_OLD_SPACE_MB = 32;

/**
 * The finder for this process. Where this module was loaded from its TypeScript source, as test runners
 * do, of which a thread loads nothing, it is the one without a thread.
 */
export function createNullKeyFinder(moduleUrl = import.meta.url): NullKeyFinder {
  if (!moduleUrl.endsWith('.js')) return inlineFinder;
  return new ThreadFinder(new URL('./worker.js', moduleUrl));
}

/**
 * Looks on a thread, at one batch at a time in the order of the calls: what is unpacked is one batch at
 * the most, and what waits are bytes of requests, which are bounded by `maxRequestMemoryBytes`.
 */
export class ThreadFinder implements NullKeyFinder {
  readonly #thread: IdleWorker;
  #last: Promise<unknown> = Promise.resolve();

  constructor(entry: URL) {
    const resourceLimits = { maxOldGenerationSizeMb: MAX_OLD_SPACE_MB };
    this.#thread = new IdleWorker(entry, { name: 'null-keys', resourceLimits });
  }

  find(bytes: ByteChunks, maxUnpackedBytes: number): Promise<number | undefined> {
    const turn = this.#last.then(() => this.#ask(bytes, maxUnpackedBytes));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#thread.close();
  }

  async #ask(bytes: ByteChunks, maxUnpackedBytes: number): Promise<number | undefined> {
    let answer: NullKeyAnswer;
    try {
      answer = await ask(this.#thread.acquire(), bytes, maxUnpackedBytes);
    } catch (cause) {
      // Whatever state the thread is in: the next batch gets a new one.
      await this.#thread.close();
      const message = `the records of the batch could not be looked at: ${String(cause)}`;
      throw new ProtocolError('STORAGE_ERROR', message, { cause });
    }
    this.#thread.release();
    if (answer.type === 'found') return answer.index;
    throw new ProtocolError((answer.errorName ?? 'STORAGE_ERROR') as ErrorName, answer.message);
  }
}

function ask(worker: Worker, bytes: ByteChunks, maxUnpackedBytes: number): Promise<NullKeyAnswer> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      settle();
    };
    const onMessage = (answer: NullKeyAnswer): void => end(() => resolve(answer));
    const onError = (error: Error): void => end(() => reject(error));
    const onExit = (code: number): void => onError(new Error(`its thread ended with code ${code}`));
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    // A copy that the thread gets as its own; to share the bytes would clone the buffers they lie in.
    const copy = new Uint8Array(bytes.length);
    let filled = 0;
    for (const chunk of bytes.chunks) {
      copy.set(chunk, filled);
      filled += chunk.length;
    }
    const question: NullKeyQuestion = { bytes: copy, maxUnpackedBytes };
    worker.postMessage(question, [copy.buffer]);
  });
}
