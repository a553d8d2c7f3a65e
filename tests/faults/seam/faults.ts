import { recorder } from './recorder.js';
import type { Call, Fault, FaultPlan } from './recorder.js';

const io = { code: 'EIO', how: 'before' } as const;
const ioDone = { code: 'EIO', how: 'after' } as const;
const full = { code: 'ENOSPC', how: 'before' } as const;

/** What each call may be made to do. A sync that fails has failed, whichever its reason. */
const faultsOf: Readonly<Record<string, readonly Fault[]>> = {
  fsync: [io, full],
  fdatasync: [io, full],
  msync: [io, full],
  fallocate: [io, full],
  pwritev: [io, full, { code: 'ENOSPC', how: 'part' }, { code: 'EIO', how: 'part' }],
  write: [
    ...[io, full],
    ...([
      { code: 'ENOSPC', how: 'part' },
      { code: 'EIO', how: 'short' },
    ] as const),
  ],
  open: [io, full, { code: 'EMFILE', how: 'before' }],
  mmap: [io, { code: 'ENOMEM', how: 'before' }],
  rename: [io, full, ioDone],
  link: [io, full, ioDone],
  unlink: [io, ioDone],
  mkdir: [io, full, ioDone],
  rmdir: [io, ioDone],
  ftruncate: [io, ioDone],
};

/** One fault, at one call. */
export class OneFault {
  #calls = 0;
  hit: (Call & Fault) | undefined;
  /** So many operations had been done when it was met. */
  metAfter: number | undefined;

  /** @param at which call it meets, from 0 on */
  constructor(
    private readonly at: number,
    private readonly random: () => number,
  ) {}

  /** Calls so far. */
  get calls(): number {
    return this.#calls;
  }

  readonly plan: FaultPlan = (call) => {
    this.#calls += 1;
    if (this.#calls !== this.at + 1) return undefined;
    const faults = faultsOf[call.syscall] ?? [io];
    const fault = faults[Math.floor(this.random() * faults.length)] ?? io;
    this.hit = { ...call, ...fault };
    this.metAfter = recorder.operations.length;
    return fault;
  };
}

/** In a few words, for a message. */
export function describeFault(hit: (Call & Fault) | undefined): string {
  return hit === undefined ? 'no fault' : `${hit.code} (${hit.how}) of ${hit.syscall} ${hit.path}`;
}
