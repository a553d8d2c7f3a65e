import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { warmMemory } from '../../bench/src/rounds/warm-memory.js';
import { useDirectory } from '../native/helpers.js';

describe('memory that is had before appends are measured', () => {
  const directory = useDirectory();

  test.each([1, 3_000_000])('is as much as %d bytes, and nothing is left', async (bytes) => {
    expect(await warmMemory(directory.path, bytes)).toBe(bytes);
    expect(readdirSync(directory.path)).toEqual([]);
  });

  test('ends early when the run does', async () => {
    expect(await warmMemory(directory.path, 3_000_000, AbortSignal.abort())).toBe(0);
  });

  test('stays as it is where no file can be made', async () => {
    expect(await warmMemory(join(directory.path, 'gone'), 1)).toBe(0);
  });
});
