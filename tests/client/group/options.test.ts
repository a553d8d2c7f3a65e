import { describe, expect, it } from '@jest/globals';
import { InvalidArgumentError } from '@millrace/client';
import type { Assignor } from '../../../client/src/group/assignors/index.js';
import { resolveMembershipOptions } from '../../../client/src/group/options.js';
import type { MembershipOptions } from '../../../client/src/group/types.js';

function resolve(options: Partial<MembershipOptions>) {
  return resolveMembershipOptions({ group: 'g', topics: ['t'], ...options });
}

describe('rebalanceTimeoutMs', () => {
  it.each([
    ['maxPollIntervalMs by default', {}, 300_000],
    ['maxPollIntervalMs where that is given', { maxPollIntervalMs: 120_000 }, 120_000],
    ['what a broker allows where maxPollIntervalMs is off', { maxPollIntervalMs: 0 }, 1_800_000],
    ['no more than a broker allows', { maxPollIntervalMs: 3_600_000 }, 1_800_000],
    ['what is given', { rebalanceTimeoutMs: 7_000 }, 7_000],
  ])('is %s', (_, options, expected) => {
    expect(resolve(options).rebalanceTimeoutMs).toBe(expected);
  });
});

describe('assignors', () => {
  it('take an object of the application', () => {
    const mine: Assignor = { name: 'mine', cooperative: false, assign: () => new Map() };
    expect(resolve({ assignors: [mine, 'range'] }).assignors[0]).toBe(mine);
  });

  it.each([null, undefined, 7, {}, { name: 'mine' }, { name: '', assign: () => new Map() }, 'x'])(
    'refuse %j by name',
    (wrong) => {
      const make = () => resolve({ assignors: [wrong as never] });
      expect(make).toThrow(InvalidArgumentError);
      expect(make).toThrow(/range, roundrobin, sticky, cooperative-sticky/);
    },
  );
});

describe('topics', () => {
  it('must be an array or a pattern, and not empty', () => {
    expect(() => resolve({ topics: 't' as never })).toThrow(/topics must be an array of names/);
    expect(() => resolve({ topics: [] })).toThrow(/topics must name at least one topic/);
  });
});
