/*
 * One thread of the fuzzer. It says in shared memory which input it is at before it begins with it, so
 * that the watchdog knows which one does not end.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { writeSync } from 'node:fs';
import { setImmediate as immediate } from 'node:timers/promises';
import { Random } from './random.js';
import { isOurs, targets as realTargets } from './targets.js';
import { plantedTargets } from './planted.js';

const { seed, from, to, step, slot, shared, hangMs, planted, trace } = workerData;
const progress = new Float64Array(shared);
const targets = planted ? [...realTargets, ...plantedTargets] : realTargets;
const totalWeight = targets.reduce((sum, { weight }) => sum + weight, 0);

/** What one input may take of memory beside what it unpacks to, in bytes. */
const ALLOWANCE_BYTES = 4 * 1024 * 1024;
const ALLOWANCE_PER_INPUT_BYTE = 64;

/** To capture a stack costs more than most inputs; a finding is run again with one. */
Error.stackTraceLimit = 0;
const SHOWN_FRAMES = 12;

let allocatedBytes = 0;
for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow']) {
  const original = Buffer[name].bind(Buffer);
  Buffer[name] = (size, ...rest) => {
    allocatedBytes += size;
    return original(size, ...rest);
  };
}

/** The target of an input and the input itself, of nothing but the seed and its number. */
function inputOf(index) {
  const random = new Random(seed, index);
  let ticket = (random.int(1_000_000) / 1_000_000) * totalWeight;
  const target = targets.find(({ weight }) => (ticket -= weight) < 0) ?? targets[0];
  return { target, bytes: target.make(random) };
}

function tell(kind, index, { target, bytes }, detail) {
  const hex = bytes.toString('hex');
  parentPort.postMessage({ type: 'finding', kind, index, target: target.name, detail, hex });
}

function stackOf({ target, bytes }) {
  Error.stackTraceLimit = SHOWN_FRAMES;
  try {
    target.run(bytes);
  } catch (error) {
    return error?.stack;
  } finally {
    Error.stackTraceLimit = 0;
  }
  return undefined;
}

function runOne(index) {
  const input = inputOf(index);
  allocatedBytes = 0;
  let refused = false;
  try {
    input.target.run(input.bytes);
  } catch (error) {
    refused = isOurs(error);
    if (!refused) tell('threw', index, input, stackOf(input) ?? String(error));
  }
  const allowed = ALLOWANCE_BYTES + ALLOWANCE_PER_INPUT_BYTE * input.bytes.length;
  if (allocatedBytes > allowed) {
    tell(
      'memory',
      index,
      input,
      `allocated ${allocatedBytes} bytes of buffers, allowed ${allowed}`,
    );
  }
  return refused;
}

/** How often an input that took too long is run again: the machine may just have been busy. */
const REPEATS = 4;

/** Runs an input; one that takes too long each time it is run is a finding. */
function runTimed(index) {
  let bestMs = Infinity;
  let refused = false;
  for (let run = 0; run <= REPEATS && bestMs > hangMs; run += 1) {
    const startedMs = performance.now();
    refused = runOne(index);
    bestMs = Math.min(bestMs, performance.now() - startedMs);
  }
  if (bestMs > hangMs) tell('hang', index, inputOf(index), `took ${Math.round(bestMs)} ms`);
  return refused;
}

/** Native handles of what was unpacked are let go of by the event loop only, as in a broker between two reads. */
const INPUTS_PER_TURN = 256;

let refusals = 0;
let done = 0;
for (let index = from; index < to; index += step) {
  if (trace) writeSync(1, `at ${index}\n`);
  progress[slot] = index;
  if (runTimed(index)) refusals += 1;
  done += 1;
  if (done % INPUTS_PER_TURN === 0) await immediate();
}
progress[slot] = -1;
parentPort.postMessage({ type: 'done', done, refusals });
