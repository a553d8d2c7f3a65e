/** So often both clocks are read: in one of these nothing else ran in between. */
const TRIES = 16;

/**
 * What the machine's monotonic clock is ahead of `performance.now()`. A process that has to wait for a core
 * between the two readings sees too little: the most of several is right.
 */
const aheadMs = Math.max(
  ...Array.from({ length: TRIES }, () => Number(process.hrtime.bigint()) / 1e6 - performance.now()),
);

/**
 * Milliseconds of the machine's monotonic clock, with fractions. The same in every process of this
 * machine, so that a time which one process writes into a message means something to another.
 */
export function monotonicMs(): number {
  return aheadMs + performance.now();
}
