import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { undoRename } from '../../../broker/src/topics/topic-file.js';
import { makeTempDir } from '../../support/temp-dir.js';

test.each([
  ['happened', true, ['topic']],
  ['did not happen', true, ['topic']],
  ['happened, and cannot be undone', false, ['topic.deleted', 'topic.deleted.further']],
] as const)('a failed rename that %s: the topic is kept: %s', async (how, kept, names) => {
  const directory = await makeTempDir();
  const path = join(directory.path, 'topic');
  const renamed = `${path}.deleted`;
  await mkdir(path);
  if (how !== 'did not happen') await rename(path, renamed);
  if (how === 'happened, and cannot be undone') {
    await mkdir(`${renamed}.further`);
    expect(await undoRename(path, `${renamed}.missing`)).toBe(kept);
  } else {
    expect(await undoRename(path, renamed)).toBe(kept);
  }
  expect((await readdir(directory.path)).sort()).toEqual([...names]);
  await directory.remove();
});
