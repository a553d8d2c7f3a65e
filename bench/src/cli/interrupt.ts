import { exitCode } from '../errors.js';

/**
 * `timeout` and wrappers signal a process, and its group as well: a signal so soon after another is the same, and
 * nobody's wish to lose what was measured.
 */
const SAME_SIGNAL_MS = 100;

/** Ctrl-C and SIGTERM of a run: the first ends the load, a second the process. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** What to exit with when it was interrupted. */
  readonly exitCode: number | undefined;
  dispose(): void;
}

export function watchInterrupts(): Interruption {
  const controller = new AbortController();
  let code: number | undefined;
  let sinceMs = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (code !== undefined) {
      if (performance.now() - sinceMs < SAME_SIGNAL_MS) return;
      process.exit(code);
    }
    sinceMs = performance.now();
    code = signal === 'SIGINT' ? exitCode.interrupted : exitCode.terminated;
    process.stderr.write('\nending: what was measured is kept (once more: at once)\n');
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    get exitCode() {
      return code;
    },
    dispose: () => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
