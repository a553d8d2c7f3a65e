import type { PhaseReport, Tick } from './phase-counts.js';
import type { LoadLimit, LoadSpec } from './spec.js';

/** What a worker process is told. */
export type ToWorker =
  | {
      readonly type: 'open';
      readonly role: 'producer' | 'consumer';
      readonly index: number;
      readonly partitions: number;
      readonly spec: LoadSpec;
    }
  /** A phase begins; a consumer's ends with `stop`. */
  | { readonly type: 'run'; readonly limit: LoadLimit }
  | { readonly type: 'stop' }
  | { readonly type: 'close' };

/** What it says. */
export type FromWorker =
  | { readonly type: 'opened' }
  | { readonly type: 'tick'; readonly tick: Tick }
  | { readonly type: 'done'; readonly report: PhaseReport }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'closed' };
