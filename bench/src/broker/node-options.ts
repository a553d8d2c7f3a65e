/** How `npm start` and the image have node run a broker: its collector has no threads (docs/performance.md says why). */
export const BROKER_NODE_OPTIONS: readonly string[] = ['--single-threaded-gc'];
