import { compactSegments } from './compact-segments.js';
import type { CompactionJob, CompactionResult, JobControl } from './job.js';

/** Where a job runs. One job at a time. */
export interface CompactionRunner {
  /**
   * See `compactSegments`.
   * @throws whatever ended the job; the signal's reason when that is why.
   */
  run(job: CompactionJob, control: JobControl): Promise<CompactionResult>;
  /** Lets go of what is kept for the next job. Not while one runs. */
  close(): Promise<void>;
}

/** Runs jobs on the thread of the caller, in short turns. */
export const inlineRunner: CompactionRunner = {
  run: compactSegments,
  close: () => Promise.resolve(),
};
