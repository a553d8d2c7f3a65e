import { expect, test } from '@jest/globals';
import { InvalidArgumentError } from '@millrace/client';
import { resolveConsumerOptions } from '../../../client/src/consumer/options.js';

/** As from a program without types. */
function resolve(options: Readonly<Record<string, unknown>>) {
  return () => resolveConsumerOptions({ topics: ['t'], ...options });
}

test.each([
  ['earliest', /not "earliest"; did you mean 'beginning'\?$/],
  ['latest', /not "latest"; did you mean 'end'\?$/],
  ['constructor', /not "constructor"$/],
  [7, /'beginning', 'end', .* not "7"$/],
  [{}, /not undefined$/],
  [{ offset: -1 }, /not -1$/],
  [new Date('nonsense'), /not NaN$/],
])('a start of %j is refused with the positions that there are', (from, message) => {
  expect(resolve({ from })).toThrow(InvalidArgumentError);
  expect(resolve({ from })).toThrow(message);
});

test('topics must be an array, and not empty', () => {
  expect(resolve({ topics: 't' })).toThrow(/topics must be an array of names/);
  expect(resolve({ topics: [] })).toThrow(/topics must name at least one topic/);
});
