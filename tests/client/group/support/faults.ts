import type { ErrorName } from '@millrace/protocol';
import type { CoordinatorFault } from './fake-coordinator.js';

export function error(name: ErrorName): CoordinatorFault {
  return { kind: 'error', name };
}

export const cuts: readonly CoordinatorFault[] = [{ kind: 'cut' }, { kind: 'cut-after' }];

/** What a coordinator answers, or does, that is not there, not yet, or not here. */
export const passing: readonly CoordinatorFault[] = [
  ...(
    [
      'COORDINATOR_LOAD_IN_PROGRESS',
      'COORDINATOR_NOT_AVAILABLE',
      'NOT_COORDINATOR',
      'SHUTTING_DOWN',
      'OVERLOADED',
    ] as const
  ).map(error),
  ...cuts,
];
