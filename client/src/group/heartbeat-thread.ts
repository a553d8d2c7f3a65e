import { Worker } from 'node:worker_threads';
import { toMillraceError } from '../errors.js';
import type { HeartbeatCommand, HeartbeatFinding, HeartbeatMember } from './heartbeat-messages.js';
import { Heartbeats } from './heartbeats.js';

/** Whoever has a member kept alive. */
export interface HeartbeatListener {
  onFinding(finding: HeartbeatFinding): void;
  /** The thread failed: heartbeats stop from now on whenever this thread is busy. */
  onThreadLost(error: Error): void;
}

/** The heartbeats of one member. */
export interface HeartbeatHandle {
  /** From now on as this member; again after every rebalance. */
  beat(member: HeartbeatMember): void;
  /** The group has thrown it out: no heartbeats before the next {@link beat}. */
  hush(): void;
  stop(): void;
}

/** Where commands go: to the worker, or to this thread where there can be none. */
interface Channel {
  apply(command: HeartbeatCommand): void;
  close(): void;
}

/** All members of this process share one worker: a consumer more costs no thread more. */
class HeartbeatThread {
  readonly #listeners = new Map<number, HeartbeatListener>();
  readonly #members = new Map<number, HeartbeatMember>();
  readonly #hushed = new Set<number>();
  #channel: Channel | undefined;
  #nextId = 1;

  /** Nothing is started before the first beat. */
  register(listener: HeartbeatListener): HeartbeatHandle {
    const id = this.#nextId++;
    this.#listeners.set(id, listener);
    return {
      beat: (member) => {
        if (this.#listeners.has(id)) this.#beat(id, member);
      },
      hush: () => this.#hush(id),
      stop: () => this.#stop(id),
    };
  }

  #beat(id: number, member: HeartbeatMember): void {
    this.#members.set(id, member);
    this.#hushed.delete(id);
    if (this.#channel === undefined) this.#start();
    else this.#channel.apply({ type: 'beat', id, member });
  }

  #hush(id: number): void {
    if (!this.#members.has(id)) return;
    this.#hushed.add(id);
    this.#channel?.apply({ type: 'hush', id });
  }

  #stop(id: number): void {
    this.#listeners.delete(id);
    this.#hushed.delete(id);
    if (!this.#members.delete(id)) return;
    if (this.#members.size > 0) {
      this.#channel?.apply({ type: 'stop', id });
      return;
    }
    this.#channel?.close();
    this.#channel = undefined;
  }

  #start(): void {
    try {
      this.#use(this.#startWorker());
    } catch (error) {
      this.#onWorkerLost(toMillraceError(error));
    }
  }

  #use(channel: Channel): void {
    this.#channel = channel;
    for (const [id, member] of this.#members) channel.apply({ type: 'beat', id, member });
    for (const id of this.#hushed) channel.apply({ type: 'hush', id });
  }

  #startWorker(): Channel {
    const worker = newWorker();
    worker.unref();
    let closed = false;
    const lost = (error: unknown): void => {
      if (closed) return;
      closed = true;
      this.#onWorkerLost(toMillraceError(error));
    };
    worker.on('message', (finding: HeartbeatFinding) => this.#onFinding(finding));
    worker.on('error', lost);
    worker.on('exit', (code) => lost(new Error(`it ended with code ${code}`)));
    return {
      apply: (command) => worker.postMessage(command),
      close: () => {
        closed = true;
        void worker.terminate();
      },
    };
  }

  /** Heartbeats from this thread are better than none, and whoever listens is told. */
  #onWorkerLost(error: Error): void {
    this.#use(new Heartbeats((finding) => this.#onFinding(finding)));
    for (const listener of [...this.#listeners.values()]) listener.onThreadLost(error);
  }

  #onFinding(finding: HeartbeatFinding): void {
    this.#listeners.get(finding.id)?.onFinding(finding);
  }
}

function newWorker(): Worker {
  // Options for this process, such as a debugger's port or a loader, are not for the worker.
  const options = { name: 'millrace-heartbeats', execArgv: [] };
  // Run from the sources (as tests do), there is no JavaScript beside this file, and a worker
  // cannot load TypeScript: the built worker is taken. It speaks the same messages.
  if (import.meta.url.endsWith('.ts')) {
    const built = import.meta.url.replace('/src/group/heartbeat-thread.ts', BUILT_WORKER);
    return new Worker(new URL(built), options);
  }
  return new Worker(new URL('./heartbeat-worker.js', import.meta.url), options);
}

const BUILT_WORKER = '/dist/group/heartbeat-worker.js';

/** Of this process. */
export const heartbeatThread = new HeartbeatThread();
