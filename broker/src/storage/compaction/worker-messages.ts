import type { CleanedGroup, CompactionJob, CompactionResult } from './job.js';

/** To the thread. It is ended from outside when its job is to stop. */
export type ToWorker =
  | { readonly type: 'run'; readonly job: CompactionJob }
  /** The last group has taken its place. */
  | { readonly type: 'go-on' };

/** An error as it crosses threads, which keep neither classes nor fields of their own. */
export interface WorkerError {
  readonly message: string;
  readonly stack: string | undefined;
  /** `ENOSPC`, … of a system error. */
  readonly errno: string | undefined;
  /** The name of a ProtocolError, as `CORRUPT_LOG`. */
  readonly errorName: string | undefined;
}

/** From the thread. */
export type FromWorker =
  | { readonly type: 'group'; readonly group: CleanedGroup }
  | { readonly type: 'done'; readonly result: CompactionResult }
  | { readonly type: 'failed'; readonly error: WorkerError };
