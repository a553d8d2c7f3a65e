import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { linesOf } from '../../../client/src/cli/lines.js';
import { table } from '../../../client/src/cli/table.js';

async function collect(chunks: readonly Buffer[], maxLineBytes = 1_000): Promise<Buffer[]> {
  async function* source(): AsyncGenerator<Buffer> {
    for (const chunk of chunks) {
      await Promise.resolve();
      yield chunk;
    }
  }
  const lines: Buffer[] = [];
  for await (const some of linesOf(source(), maxLineBytes)) lines.push(...some);
  return lines;
}

test('lines come out the same however the bytes are chunked', async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(chunks, async (parts) => {
      const buffers = parts.map((part) =>
        Buffer.from(part.map((byte) => (byte % 5 === 0 ? 10 : byte))),
      );
      const whole = Buffer.concat(buffers).toString('latin1');
      const expected = whole.split('\n');
      if (expected.at(-1) === '') expected.pop();
      expect((await collect(buffers)).map((line) => line.toString('latin1'))).toEqual(expected);
    }),
  );
});

test('a line beyond the bound is an error that names it, before it is gathered', async () => {
  const endless = Array.from({ length: 100 }, () => Buffer.alloc(100, 'x'));
  await expect(collect([Buffer.from('a\nb\n'), ...endless])).rejects.toThrow(
    'line 3 is longer than 1000 bytes',
  );
});

test('columns are as wide as their widest cell, numbers to the right', () => {
  expect(
    table(
      ['NAME', 'COUNT'],
      [
        ['a', '5'],
        ['longer', '12'],
      ],
    ),
  ).toBe('NAME    COUNT\na           5\nlonger     12\n');
  expect(table(['NAME', 'COUNT'], [])).toBe('NAME  COUNT\n');
});
