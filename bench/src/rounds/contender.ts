import type { Residency } from '../broker/page-cache.js';
import type { DriverTarget } from '../drivers/driver.js';
import type { LoadSpec } from '../load/spec.js';
import type { Measurement } from '../results/schema.js';

/** One of those that are compared: opened anew for each round. */
export interface Contender {
  readonly name: string;
  readonly about: string;
  /** What of the load differs for this one. */
  readonly spec?: Partial<LoadSpec>;
  /** @throws BenchError when it cannot run here. */
  open(): Promise<OpenContender>;
}

/** One that is no broker, and is measured in a way of its own. */
export interface LoopContender {
  readonly name: string;
  readonly about: string;
  /** @param signal ends it early, with what there is by then. */
  run(signal: AbortSignal): Promise<Measurement[]>;
}

/** Where a phase finds the broker, and what it may call its topics after. */
export interface PhaseAt extends Pick<OpenContender, 'target' | 'httpAddress'> {
  readonly topic: string;
}

/** A contender's broker, ready to be loaded. */
export interface OpenContender {
  readonly target: DriverTarget;
  /** Where it tells what a load cost it; undefined: it does not. */
  readonly httpAddress: string | undefined;
  /** The directory that it stores in; undefined: it was not started here. */
  readonly storedIn?: string;
  /** Makes what it stores cold; the addresses change. Undefined: it cannot be restarted. */
  readonly makeCold?:
    (() => Promise<Residency & Pick<OpenContender, 'target' | 'httpAddress'>>) | undefined;
  /** Lets go of everything that opening it made. */
  close(): Promise<void>;
}
