import type { FinalLog, History } from '../checker/history.js';
import type { LoadOptions } from './load.js';

/** What the test tells a process with a load. */
export type LoadOrder =
  | {
      readonly type: 'start';
      readonly address: string;
      readonly seed: number;
      readonly options: LoadOptions;
    }
  /** Send no more; answered when the fate of each message is known. */
  | { readonly type: 'settle' }
  /** Read up to here; answered with all that it has written down. */
  | { readonly type: 'catch-up'; readonly logs: readonly FinalLog[] };

/** What it answers. */
export type LoadAnswer =
  | { readonly type: 'started' | 'settled' }
  /** Told all the time. */
  | { readonly type: 'progress'; readonly acknowledged: number; readonly read: number }
  | {
      readonly type: 'done';
      readonly history: History;
      /** Codes of errors that reached the application, and what ended an iteration. */
      readonly troubles: readonly string[];
    };
