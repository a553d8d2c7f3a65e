import { afterEach, expect, test } from '@jest/globals';
import { Container, makeVolume } from './support/container.js';

afterEach(() => Container.removeAll());

const AS_ROOT = ['--user', 'root', '--cap-add', 'DAC_OVERRIDE'];

test('a data directory of another user ends the broker with one line that says whose it is', async () => {
  // As the directories of a host: the engine does not give it to the user of the image.
  const flags = ['-v', `${await makeVolume()}:/data:nocopy`];
  const ended = await Container.once(flags, []);
  expect(ended).toMatchObject({ status: 1, stdout: '' });
  expect(ended.stderr).toMatch(/^millrace-broker: cannot use the data directory \/data: .*\n$/);
  expect(ended.stderr).toContain('user 1000 may not write there, it belongs to user 0');
});

test('so do files of another user in it', async () => {
  const flags = ['-v', `${await makeVolume()}:/data`];
  const root = await Container.ready([...AS_ROOT, ...flags]);
  expect(await root.stop()).toMatchObject({ exitCode: 0 });
  const ended = await Container.once(flags, []);
  expect(ended).toMatchObject({ status: 1, stdout: '' });
  expect(ended.stderr).toMatch(/^millrace-broker: [^\n]*\/data\/lock[^\n]*\n$/);
  expect(ended.stderr).toContain('user 1000 may not write there, it belongs to user 0');
});

test('a read-only volume is told as well', async () => {
  const volume = await makeVolume();
  const ended = await Container.once(['-v', `${volume}:/data:ro`], []);
  expect(ended.status).toBe(1);
  expect(ended.stderr).toMatch(/^millrace-broker: [^\n]*\/data: [^\n]*read-only[^\n]*\n$/);
});

test('two brokers on one volume: the second says that it is in use', async () => {
  const volume = await makeVolume();
  const flags = ['-v', `${volume}:/data`];
  await Container.ready(flags);
  const second = await Container.once(flags, []);
  expect(second.status).toBe(1);
  expect(second.stderr).toContain('/data is in use by another broker');
});
