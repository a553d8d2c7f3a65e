import { exitCode } from '../errors.js';

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
  const onSignal = (signal: NodeJS.Signals): void => {
    if (code !== undefined) process.exit(code);
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
