import { Worker } from 'node:worker_threads';
import type { ResourceLimits } from 'node:worker_threads';

/** A thread without work ends after this long. */
const IDLE_MS = 10_000;

export interface IdleWorkerOptions {
  /** For debuggers and `top`. */
  readonly name: string;
  readonly resourceLimits: ResourceLimits;
  /** Default: 10 seconds. */
  readonly idleMs?: number;
}

/** A worker thread that is started when there is work, and ended when there was none for a while. */
export class IdleWorker {
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(
    /** Compiled JavaScript: a thread loads nothing else. */
    private readonly entry: URL,
    private readonly options: IdleWorkerOptions,
  ) {}

  /** True while there is a thread. */
  get isStarted(): boolean {
    return this.#worker !== undefined;
  }

  /** The thread, for one piece of work; {@link release} or {@link close} ends that. */
  acquire(): Worker {
    clearTimeout(this.#idle);
    return this.#worker ?? this.#start();
  }

  /** The work is done, and the thread may have more. */
  release(): void {
    const { idleMs = IDLE_MS } = this.options;
    this.#idle = setTimeout(() => void this.close(), idleMs).unref();
  }

  /** Ends the thread; {@link acquire} starts another. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #start(): Worker {
    const { name, resourceLimits } = this.options;
    const worker = new Worker(this.entry, { name, resourceLimits });
    // A thread must not keep a process alive whose other work is done.
    worker.unref();
    // Who works with it hears of errors; without a listener one would end the process.
    worker.on('error', () => undefined);
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    this.#worker = worker;
    return worker;
  }
}
