const monotonicAtStartMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/**
 * Milliseconds of the machine's monotonic clock, with fractions. The same in every process of this
 * machine, so that a time which one process writes into a message means something to another.
 */
export function monotonicMs(): number {
  return monotonicAtStartMs + performance.now();
}
