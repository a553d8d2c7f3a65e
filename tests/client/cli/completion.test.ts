import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { wordsOf } from '../../../client/src/cli/complete.js';
import { completionScripts } from '../../../client/src/cli/completion-scripts.js';
import { useFakeBroker } from '../support/harness.js';
import { describeTopicConfigKeys } from '../../../broker/src/topics/topic-config.js';
import { topicConfigKeys } from '../../../client/src/cli/config-keys.js';
import { administrate, asText } from './administration.js';
import { run } from './command.js';

const harness = useFakeBroker();
const execute = promisify(execFile);
const bin = fileURLToPath(new URL('../../../client/bin/millrace.js', import.meta.url));
let directory = '';

/** `millrace` on the path, as it is when it is installed. */
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-completion-'));
  const command = join(directory, 'millrace');
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${bin}" "$@"\n`);
  chmodSync(command, 0o755);
  writeFileSync(join(directory, 'lines.txt'), '');
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What a real bash offers when Tab is pressed at the end of the line. */
async function inBash(line: string): Promise<string[]> {
  // Splits the line as readline does: at blanks, and at : and = that become words of their own.
  const words = line
    .split(/\s+/)
    .flatMap((word) => (word === '' ? [''] : word.split(/([:=])/).filter((part) => part !== '')));
  const script = [
    'eval "$(millrace completion bash)"',
    'complete -p millrace > /dev/null || exit 3',
    `COMP_LINE=${quote(line)} COMP_POINT=${line.length}`,
    `COMP_WORDS=(${words.map(quote).join(' ')}) COMP_CWORD=${words.length - 1}`,
    '_millrace_complete millrace',
    'printf "%s\\n" "${COMPREPLY[@]}"',
  ].join('\n');
  const env = {
    ...process.env,
    PATH: `${directory}${delimiter}${process.env['PATH'] ?? ''}`,
    MILLRACE_BROKER: harness().broker.address,
  };
  const { stdout } = await execute('bash', ['--norc', '-c', script], { env, cwd: directory });
  return stdout.split('\n').filter((candidate) => candidate !== '');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

test('bash completes commands, options and choices', async () => {
  await administrate(harness());
  expect(await inBash('millrace ')).toEqual([
    'topic',
    'produce',
    'consume',
    'group',
    'cluster',
    'completion',
    'help',
  ]);
  expect(await inBash('millrace topic de')).toEqual(['describe', 'delete-records', 'delete']);
  expect(await inBash('millrace group reset --')).toEqual([
    '--to',
    '--topic',
    '--dry-run',
    '--json',
    '--version',
    '--broker',
    '--help',
  ]);
  expect(await inBash('millrace produce --acks ')).toEqual(['all', '1', '0']);
  expect(await inBash('millrace completion ')).toEqual(['bash', 'zsh', 'fish']);
  expect(await inBash('millrace nonsense ')).toEqual([]);
});

test('bash completes topics and groups by asking the broker', async () => {
  const { broker, fake } = await administrate(harness());
  broker.createTopic('orders');
  broker.createTopic('__offsets');
  fake.group('billing');
  fake.group('shipping');
  expect(await inBash('millrace topic describe ')).toEqual(['orders', 't']);
  expect(await inBash('millrace consume or')).toEqual(['orders']);
  expect(await inBash('millrace consume __')).toEqual(['__offsets']);
  expect(await inBash('millrace consume orders ')).toEqual([]);
  expect(await inBash('millrace group delete billing ship')).toEqual(['shipping']);
  expect(await inBash("millrace consume --format '%p %k' or")).toEqual(['orders']);
});

test('bash gets only the part behind an equals sign or a colon', async () => {
  const { broker } = await administrate(harness());
  broker.createTopic('orders');
  expect(await inBash('millrace group reset g --topic=or')).toEqual(['orders']);
  expect(await inBash('millrace group reset g --topic=')).toEqual(['orders', 't']);
  const named = `millrace --broker ${broker.address} topic config or`;
  expect(await inBash(named)).toEqual(['orders']);
});

test('bash completes keys of topics, and quotes names that a shell would split', async () => {
  const { fake } = await administrate(harness());
  expect(await inBash('millrace topic create n --config retention.')).toEqual([
    'retention.ms=',
    'retention.bytes=',
  ]);
  expect(await inBash('millrace topic create n --config retention.ms=')).toEqual([]);
  expect(await inBash('millrace topic alter t --unset segm')).toEqual([
    'segment.bytes',
    'segment.ms',
  ]);
  fake.group('my group');
  fake.group('my*');
  const names = [String.raw`my\ group`, String.raw`my\*`];
  expect(await inBash('millrace group describe my')).toEqual(names);
});

test('the keys of topics that are completed are those that the broker knows', () => {
  const known = describeTopicConfigKeys().map(({ key }) => key);
  expect([...topicConfigKeys].sort()).toEqual(known.sort());
});

test('bash completes files where a path is asked for', async () => {
  await administrate(harness());
  expect(await inBash('millrace produce t --file li')).toEqual(['lines.txt']);
});

test('a broker that is not there is no error, only no names', async () => {
  const { broker } = harness();
  await broker.stop();
  expect(await inBash('millrace topic describe ')).toEqual([]);
  expect(await inBash('millrace --broker nonsense:x topic describe ')).toEqual([]);
});

test('zsh and fish get a description behind a tab', async () => {
  const { broker, fake } = await administrate(harness());
  fake.group('billing');
  const env = { MILLRACE_BROKER: broker.address };
  const ask = async (...words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = asText(
      await run(['__complete', 'zsh', '--', ...words], { env }),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout;
  };
  expect(await ask('cl')).toBe('cluster\tshow the cluster\n');
  expect(await ask('group', 'describe', '')).toBe('billing\t\n');
  expect(await ask('group', 'describe', 'billing', '--js')).toBe('--json\tprint JSON\n');
  expect(await ask('group', 'reset', 'x', '--to', '-')).toBe('');
  expect(await ask('produce', 't', '-f', '')).toBe(':files\n');
  expect(await ask('consume', '--', '-')).toBe('');
  expect(await ask('topic', 'alter', 't', '--set', 'a=1', '--un')).toMatch(/^--unset\t/);
});

test('a shell that there is no script for is a wrong command line', async () => {
  expect(await run(['completion', 'tcsh'])).toMatchObject({ code: 2 });
  expect(await run(['completion'])).toMatchObject({ code: 2 });
  expect(asText(await run(['--help'])).stdout).not.toContain('__complete');
});

test('the bash script is valid for bash', async () => {
  const file = join(directory, 'script.bash');
  writeFileSync(file, completionScripts.bash);
  await execute('bash', ['-n', file]);
});

test('a line is split into words as a shell does', () => {
  expect(wordsOf('a b')).toEqual(['a', 'b']);
  expect(wordsOf('a b ')).toEqual(['a', 'b', '']);
  expect(wordsOf(String.raw`a 'b c' "d \" e" f\ g`)).toEqual(['a', 'b c', 'd " e', 'f g']);
  expect(wordsOf("a '")).toEqual(['a', '']);
  expect(wordsOf('')).toEqual(['']);
});
