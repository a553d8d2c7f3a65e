/** A seeded generator of numbers in [0, 1) (mulberry32), so that a random test can be repeated. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed in `MILLRACE_TEST_SEED`, or a new one; printed, so that a failure can be repeated. */
export function testSeed(): number {
  const given = process.env['MILLRACE_TEST_SEED'];
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
  process.stdout.write(`MILLRACE_TEST_SEED=${seed}\n`);
  return seed;
}
