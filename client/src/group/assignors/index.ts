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

/** @throws InvalidArgumentError for what is neither a name nor an assignor */
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
  if (isAssignor(wanted)) return wanted;
  const known = Object.keys(assignors).join(', ');
  if (typeof wanted !== 'string') {
    throw new InvalidArgumentError(
      `assignors must be names (${known}) or objects with a name and an assign function, not ` +
        (typeof wanted === 'object' && (wanted as unknown) !== null
          ? 'an object without them'
          : String(wanted)),
    );
  }
  if (Object.hasOwn(assignors, wanted)) return assignors[wanted];
  throw new InvalidArgumentError(`There is no assignor "${wanted}"; known are ${known}`);
}

function isAssignor(wanted: unknown): wanted is Assignor {
  if (typeof wanted !== 'object' || wanted === null) return false;
  const { name, assign } = wanted as Partial<Assignor>;
  return typeof name === 'string' && name !== '' && typeof assign === 'function';
}
