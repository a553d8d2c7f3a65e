import { expect, test } from '@jest/globals';
import { DUMPABLE, kindOf } from '../../../broker/src/inspect/dump-file.js';
import { excerpt } from '../../../broker/src/inspect/dump-line.js';

test('a file is told by its name', () => {
  const segment = '00000000000000000012.log';
  const segments = [segment, `${segment}.cleaned`, `${segment}.cut`, `${segment}.4096.cut`];
  for (const name of segments) expect(kindOf(`/a/${name}`)).toBe('segment');
  expect(kindOf('00000000000000000012.index')).toBe('index');
  expect(kindOf('x/checkpoint')).toBe('checkpoint');
  for (const name of DUMPABLE.split(', ').filter((text) => text.endsWith('.json'))) {
    expect(kindOf(name)).toBe('json');
  }
  for (const name of ['lock', 'clean', 'x.json', 'toString', 'a.logs', 'checkpoint.tmp']) {
    expect(kindOf(name)).toBeUndefined();
  }
});

test('an excerpt is one line, however long and whatever the bytes', () => {
  expect(excerpt(null)).toBe('null');
  expect(excerpt(Buffer.alloc(0))).toBe('""');
  expect(excerpt(Buffer.from('a"b\n'))).toBe('"a\\"b\\n"');
  expect(excerpt(Buffer.from('x'.repeat(80)))).toBe(`"${'x'.repeat(80)}"`);
  expect(excerpt(Buffer.from('x'.repeat(81)))).toBe(`"${'x'.repeat(80)}"… (81 bytes)`);
  // Where a character is cut in two it is text all the same.
  expect(excerpt(Buffer.from(`x${'€'.repeat(200)}`))).toMatch(/^"x€+"… \(601 bytes\)$/);
  expect(excerpt(Buffer.alloc(2_000, 0xff))).toMatch(/^base64:\/{80}… \(2000 bytes\)$/);
});
