import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { warmMemory } from '../../bench/src/rounds/warm-memory.js';
import { useDirectory } from '../native/helpers.js';

describe('memory that is had before appends are measured', () => {
  const directory = useDirectory();

  test.each([{ bytes: 3_000_000 }, { bytes: 1 }])(
    '%j leaves nothing in the directory',
    async (limit) => {
      await warmMemory(directory.path, limit);
      expect(readdirSync(directory.path)).toEqual([]);
    },
  );

  test('stays as it is where no file can be made', async () => {
    await expect(warmMemory(join(directory.path, 'gone'), { bytes: 1 })).resolves.toBeUndefined();
  });
});
