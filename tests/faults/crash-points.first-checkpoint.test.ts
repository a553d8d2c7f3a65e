import './seam/install.js';
import { expect, test } from '@jest/globals';
import { seededRandom } from '../support/seed.js';

const { crashAt, record } = await import('./seam/crashes.js');
const { lives } = await import('./seam/lives.js');
const { losses } = await import('./seam/losses.js');

test('an end that a start took from a checkpoint stays, though a kill came before its name was synced', async () => {
  const life = lives['offsets are reserved'];
  if (life === undefined) throw new Error('there is no such life');
  const { recording } = await record(life, 'mmap', seededRandom(1));
  const named = recording.operations.findIndex(
    (operation) => operation.type === 'move' && operation.to.endsWith('checkpoint'),
  );
  const { next, problems } = await crashAt(recording, { operations: named + 1, loss: undefined });
  expect(problems).toEqual([]);
  if (next === undefined) throw new Error('it did not open');
  for (let operations = 0; operations <= next.operations.length; operations += 1) {
    const cut = await crashAt(next, { operations, loss: losses[0] });
    expect(cut.problems).toEqual([]);
  }
}, 60_000);
