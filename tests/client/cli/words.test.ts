import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { confirm } from '../../../client/src/cli/confirm.js';
import { parseTarget, parseTopics } from '../../../client/src/cli/actions/group-reset.js';
import { table } from '../../../client/src/cli/table.js';
import { parseTime } from '../../../client/src/cli/time.js';
import { bytesWithUnit, humanBytes } from '../../../client/src/cli/units.js';
import type { Environment } from '../../../client/src/cli/environment.js';

test('bytes for people', () => {
  expect([0, 1_023, 1_024, 1_536, 150 * 1_024, 5 * 1_024 ** 4].map(humanBytes)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '150 KiB',
    '5.0 TiB',
  ]);
  expect(bytesWithUnit(100)).toBe('100 B');
  expect(bytesWithUnit(2_048)).toBe('2.0 KiB (2048 B)');
});

test('where a reset goes to', () => {
  expect(parseTarget('beginning')).toBe('beginning');
  expect(parseTarget('end')).toBe('end');
  expect(parseTarget('2026')).toEqual({ offset: 2_026 });
  expect(parseTarget('+5')).toEqual({ shift: 5 });
  expect(parseTarget('-5')).toEqual({ shift: -5 });
  expect(parseTarget('2026-01-31T12:00:00+02:00')).toEqual(new Date(Date.UTC(2026, 0, 31, 10)));
  expect(parseTarget('2026-01-31')).toEqual(new Date(2026, 0, 31));
  const wrong = [
    '',
    '+',
    '--5',
    '1.5',
    '5m',
    '1e3',
    '9'.repeat(20),
    '1969-01-01T00:00Z',
    '2026-02-31',
  ];
  for (const text of wrong) {
    expect(() => parseTarget(text)).toThrow('--to takes beginning, end, an offset, a time');
  }
});

test('topics and partitions of a reset', () => {
  expect(parseTopics(undefined)).toEqual({});
  expect(parseTopics(['a', 'b:0,2'])).toEqual({
    topics: ['a'],
    partitions: [
      { topic: 'b', partition: 0 },
      { topic: 'b', partition: 2 },
    ],
  });
  for (const wrong of ['', ':0', 't:', 't:x', 't:0:1', 't:0,']) {
    expect(() => parseTopics([wrong])).toThrow('--topic takes TOPIC or TOPIC:0,1,2');
  }
});

test('a day that the month does not have is no time', () => {
  expect(parseTime('2024-02-29')).toEqual(new Date(2024, 1, 29));
  expect(parseTime('2026-02-29')).toBeUndefined();
  expect(parseTime('2026-04-31T00:00Z')).toBeUndefined();
});

test('a column of numbers is one also where some are missing', () => {
  const rows = [
    ['a', '-'],
    ['b', '100'],
  ];
  expect(table(['NAME', 'LAG'], rows)).toBe('NAME  LAG\na       -\nb     100\n');
  expect(table(['NAME', 'LAG'], [['a', '-']])).toBe('NAME  LAG\na     -\n');
});

/** An environment in which somebody sits at a terminal and types. */
function terminal(typed: string): { environment: Environment; said: () => string } {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const stderr = Object.assign(new PassThrough(), { isTTY: true });
  stdin.end(typed);
  const environment = { stdin, stderr, stdout: stderr, broker: () => '' };
  return {
    environment: environment as unknown as Environment,
    said: () => String(stderr.read()),
  };
}

test('who is asked answers, and anything but yes is a no', async () => {
  const { signal } = new AbortController();
  for (const typed of ['y\n', 'YES\n']) {
    const { environment, said } = terminal(typed);
    await confirm(environment, 'Sure?', { yes: false, signal });
    expect(said()).toContain('Sure? [y/N] ');
  }
  for (const typed of ['n\n', '\n', 'yeah\n', '']) {
    const { environment } = terminal(typed);
    await expect(confirm(environment, 'Sure?', { yes: false, signal })).rejects.toThrow(
      'nothing was done',
    );
  }
  const { environment, said } = terminal('');
  await confirm(environment, 'Sure?', { yes: true, signal });
  expect(said()).toBe('null');
});
