import { InvalidArgumentError } from '../../errors.js';
import type { AssignorName } from '../types.js';
import type { Assignor } from './assignor.js';
import { cooperativeStickyAssignor } from './cooperative-sticky.js';
import { rangeAssignor } from './range.js';
import { roundRobinAssignor } from './roundrobin.js';
import { stickyAssignor } from './sticky.js';

export type { AssignorMember, Assignor, Assignments, NamedPartition } from './assignor.js';

const assignors: Readonly<Record<AssignorName, Assignor>> = {
  range: rangeAssignor,
  roundrobin: roundRobinAssignor,
  sticky: stickyAssignor,
  'cooperative-sticky': cooperativeStickyAssignor,
};

/** @throws InvalidArgumentError for a name that is none */
export function resolveAssignors(
  wanted: readonly (AssignorName | Assignor)[],
): readonly Assignor[] {
  if (!Array.isArray(wanted) || wanted.length === 0) {
    throw new InvalidArgumentError('assignors must name at least one');
  }
  const resolved = wanted.map(resolveAssignor);
  if (new Set(resolved.map(({ name }) => name)).size < resolved.length) {
    throw new InvalidArgumentError('assignors must not name one twice');
  }
  return resolved;
}

function resolveAssignor(wanted: AssignorName | Assignor): Assignor {
  if (typeof wanted === 'object') return wanted;
  if (Object.hasOwn(assignors, wanted)) return assignors[wanted];
  const known = Object.keys(assignors).join(', ');
  throw new InvalidArgumentError(`There is no assignor "${wanted}"; known are ${known}`);
}
