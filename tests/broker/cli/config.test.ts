import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  environmentLayer,
  environmentName,
  fileLayer,
  misspeltVariables,
  resolveConfig,
} from '../../../broker/src/config.js';
import { configTable } from '../../../broker/src/config-table.js';
import type { ConfigLayer } from '../../../broker/src/config.js';
import { defaultStorageConfig } from '../../../broker/src/storage/storage-config.js';
import { temporaryDirectory } from '../support/temporary.js';

const commandLine = (values: Record<string, unknown>): ConfigLayer => ({
  where: (key) => `${key} on the command line`,
  values,
});

function configFile(content: unknown): string {
  const path = join(temporaryDirectory(), 'millrace.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('precedence', () => {
  test('without any source every setting has its default', () => {
    const config = resolveConfig([]);
    expect(config).toMatchObject({
      dataDir: './data',
      listen: '127.0.0.1:7070',
      http: '127.0.0.1:7071',
      mode: undefined,
      maxConnections: 5_000,
      drainTimeoutMs: 10_000,
      logLevel: 'info',
    });
    expect(config).toMatchObject(defaultStorageConfig);
  });

  test('file before environment before command line, the last wins', () => {
    const path = configFile({ maxTopics: 1, flushMs: 1, maxConnections: 1, logLevel: 'warn' });
    const environment = environmentLayer({
      MILLRACE_FLUSH_MS: '2',
      MILLRACE_MAX_CONNECTIONS: '2',
      MILLRACE_LISTEN: '',
    });
    const config = resolveConfig([
      fileLayer(path),
      environment,
      commandLine({ maxConnections: '3', listen: undefined }),
    ]);
    expect(config).toMatchObject({
      ...{ maxTopics: 1, flushMs: 2, maxConnections: 3 },
      ...{ logLevel: 'warn', listen: '127.0.0.1:7070' },
    });
  });

  test('every setting has a variable of its own', () => {
    const names = Object.keys(configTable).map(environmentName);
    expect(new Set(names).size).toBe(names.length);
    expect(environmentName('dataDir')).toBe('MILLRACE_DATA_DIR');
    expect(environmentName('http')).toBe('MILLRACE_HTTP');
  });

  test('every setting says what it is for, and its default is one of its values', () => {
    for (const [key, option] of Object.entries(configTable)) {
      expect(option.doc).not.toBe('');
      if (option.defaultValue === undefined) continue;
      expect([key, option.parse(option.defaultValue)]).toEqual([key, option.defaultValue]);
    }
  });
});

describe('values', () => {
  test('sizes may be written with their unit', () => {
    expect(resolveConfig([commandLine({ segmentBytes: '64MiB' })]).segmentBytes).toBe(2 ** 26);
    expect(resolveConfig([commandLine({ segmentBytes: 65_536 })]).segmentBytes).toBe(65_536);
  });

  test.each([
    ['maxConnections', 0],
    ['maxConnections', 1.5],
    ['maxConnections', 'many'],
    ['maxConnections', null],
    ['segmentBytes', '64MB'],
    ['durability', 'maybe'],
    ['mode', 'turbo'],
    ['listen', 'localhost'],
    ['listen', '127.0.0.1:70000'],
    ['http', ''],
    ['dataDir', ''],
  ])('%s = %p is refused, naming the place and what it may be', (key, value) => {
    const resolve = (): unknown => resolveConfig([commandLine({ [key]: value })]);
    expect(resolve).toThrow(`${key} on the command line is ${JSON.stringify(value)}`);
    expect(resolve).toThrow('it must be');
  });

  test('http can be off, and IPv6 is written in brackets', () => {
    const config = resolveConfig([commandLine({ http: 'off', listen: '[::1]:0' })]);
    expect(config).toMatchObject({ http: 'off', listen: '[::1]:0' });
  });

  test('settings that contradict each other are refused', () => {
    expect(() => resolveConfig([commandLine({ maxFrameBytes: '2MiB' })])).toThrow(
      /maxMessageBytes \(\d+\) .* maxFrameBytes \(2097152\) less maxHeaderBytes \(1048576\)/,
    );
    expect(() => resolveConfig([commandLine({ maxFrameBytes: 1024 })])).toThrow(
      'maxHeaderBytes (1048576) must not be larger than maxFrameBytes (1024)',
    );
  });

  test('the largest batch fits into a frame beside the longest header', () => {
    const frame = { maxFrameBytes: '10MiB', maxHeaderBytes: '1MiB' };
    const largest = 9 * 2 ** 20 - 8;
    const config = resolveConfig([commandLine({ ...frame, maxMessageBytes: largest })]);
    expect(config.maxMessageBytes).toBe(largest);
    expect(() => resolveConfig([commandLine({ ...frame, maxMessageBytes: largest + 1 })])).toThrow(
      'change one of them',
    );
  });
});

describe('what is not a setting', () => {
  test('a key of the file is refused with the nearest one', () => {
    const path = configFile({ maxConnection: 5 });
    expect(() => resolveConfig([fileLayer(path)])).toThrow(
      `maxConnection in ${path} is not a setting; did you mean maxConnections?`,
    );
  });

  test('names of Object.prototype are keys like any other', () => {
    const path = configFile('{"constructor": 1}');
    expect(() => resolveConfig([fileLayer(path)])).toThrow('constructor in');
  });

  test.each([['[1]'], ['"text"'], ['null'], ['{']])('a file with %s is refused', (content) => {
    const path = configFile(content);
    expect(() => fileLayer(path)).toThrow(path);
  });

  test('a file that is not there is refused by name', () => {
    const path = join(temporaryDirectory(), 'missing.json');
    expect(() => fileLayer(path)).toThrow(`cannot read the configuration file ${path}: `);
  });

  test('a variable that is nearly one is pointed out, the client own ones are not', () => {
    const environment = { MILLRACE_DATADIR: 'x', MILLRACE_BROKER: 'y', MILLRACE_NO_NATIVE: '1' };
    expect(misspeltVariables(environment)).toEqual([
      'MILLRACE_DATADIR is not a setting; did you mean MILLRACE_DATA_DIR?',
    ]);
  });
});
