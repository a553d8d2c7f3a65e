import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { LoadSpec } from '../../bench/src/load/spec.js';
import { LoopProcess } from '../../bench/src/reference/loop-process.js';
import { loopContenders } from '../../bench/src/reference/loops.js';
import { planReference } from '../../bench/src/reference/plan.js';
import { referenceProgram } from '../../bench/src/reference/program.js';
import { referenceTable } from '../../bench/src/results/reference-table.js';
import type { Cell, Measurement } from '../../bench/src/results/schema.js';
import { messageOf } from '../../bench/src/errors.js';
import { skipped } from '../faults/support/length.js';
import { makeTempDir } from '../support/temp-dir.js';

const source = fileURLToPath(new URL('../../bench/native/reference.c', import.meta.url));

let directory: Awaited<ReturnType<typeof makeTempDir>>;
/** Undefined: it cannot be built here. */
let program: string | undefined;
beforeAll(async () => {
  program = await referenceProgram().catch((error: unknown) => {
    skipped('the plain C loop', messageOf(error));
    return undefined;
  });
});
beforeEach(async () => {
  directory = await makeTempDir();
});
afterEach(() => directory.remove());

const file = (name: string): string => join(directory.path, name);

function frame(header: string, payload: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(4 + header.length + payload.length, 0);
  head.writeUInt32BE(header.length, 4);
  return Buffer.concat([head, Buffer.from(header), payload]);
}

/** Starts a loop and hands out where it listens; it is gone afterwards. */
async function withLoop<Result>(
  args: readonly string[],
  work: (port: number, loop: LoopProcess) => Promise<Result>,
): Promise<Result> {
  const loop = new LoopProcess(program ?? '', args);
  try {
    const { port } = (await loop.next()) as { port: number };
    return await work(port, loop);
  } finally {
    loop.kill();
    await loop.ended();
  }
}

/** Sends the frames, and reads so many bytes of what comes back. */
async function exchange(port: number, frames: readonly Buffer[], bytes: number): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.write(Buffer.concat(frames));
  let answer = Buffer.alloc(0);
  while (answer.length < bytes) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    answer = Buffer.concat([answer, chunk]);
  }
  socket.end();
  await once(socket, 'close');
  return answer;
}

describe('the plain C loop', () => {
  test.each(['sendfile', 'mmap', 'copy'])(
    'out by %s: serves the file in chunks, round and round, and tells what that cost',
    async (way) => {
      if (program === undefined) return;
      const content = randomBytes(2 * 5_000 + 17);
      writeFileSync(file('log'), content);
      await withLoop(['out', way, file('log'), '5000'], async (port, loop) => {
        const asked = Array.from({ length: 3 }, () => frame('a request', Buffer.alloc(0)));
        const answer = await exchange(port, asked, 3 * 5_004);
        const chunks = [0, 1, 2].map((i) => answer.subarray(i * 5_004, (i + 1) * 5_004));
        expect(chunks.map((chunk) => chunk.readUInt32BE(0))).toEqual([5_000, 5_000, 5_000]);
        const [first, second, third] = chunks.map((chunk) => chunk.subarray(4));
        expect(first).toEqual(content.subarray(0, 5_000));
        expect(second).toEqual(content.subarray(5_000, 10_000));
        expect(third).toEqual(first);
        const cost = (await loop.next()) as { bytes: number; calls: Record<string, number[]> };
        expect(cost.bytes).toBe(15_000);
        const moved = { sendfile: 'sendfile', mmap: 'send', copy: 'pread' }[way] ?? '';
        // The heads of the answers are sent as well.
        expect(cost.calls[moved]?.[1]).toBe(way === 'mmap' ? 15_012 : 15_000);
      });
    },
  );

  test.each(['write', 'mmap', 'direct'])(
    'in by %s: the file is what the frames carried',
    async (way) => {
      if (program === undefined) return;
      // Across what is allocated and populated at a time, of the mapping.
      const payloads = [
        randomBytes(1),
        randomBytes(5_000_000),
        Buffer.alloc(0),
        randomBytes(70_001),
      ];
      await withLoop(['in', way, file('log'), '10000000'], async (port, loop) => {
        const frames = payloads.map((payload) => frame('to be skipped', payload));
        const answers = await exchange(port, frames, 8 * payloads.length);
        expect(answers.length).toBe(8 * payloads.length);
        expect(await loop.next()).toMatchObject({ bytes: 5_070_002 });
        await loop.ended();
        expect(readFileSync(file('log')).equals(Buffer.concat(payloads))).toBe(true);
      });
    },
  );

  test('drive: sends its frames in turn, takes every answer, and counts after warming up', async () => {
    if (program === undefined) return;
    const [one, two] = [randomBytes(1_000), randomBytes(2_000)];
    writeFileSync(file('frames'), Buffer.concat([frame('', one), frame('', two)]));
    await withLoop(['in', 'write', file('log'), '1000000'], async (port, loop) => {
      const numbers = ['2', '1', '4']; // depth, not counted, counted
      const args = ['drive', '127.0.0.1', String(port), file('frames'), ...numbers];
      const driver = new LoopProcess(program ?? '', args);
      expect(await driver.next()).toMatchObject({
        ...{ answers: 4, receivedBytes: 4 * 8, smallestAnswerBytes: 4 },
      });
      await driver.ended();
      await loop.next();
      await loop.ended();
    });
    const all = Buffer.concat([one, two, one, two, one]);
    expect(readFileSync(file('log')).equals(all)).toBe(true);
  });

  test('measures nothing when it was ended before it began', async () => {
    if (program === undefined) return;
    const payload = { kind: 'zeros', minBytes: 1_000, maxBytes: 1_000 } as const;
    const spec = { payload, batchBytes: 2 ** 16, fetchBytes: 2 ** 16 } as LoadSpec;
    const loops = loopContenders(planReference(program, spec, 2 ** 24, directory.path));
    for (const loop of loops) expect(await loop.run(AbortSignal.abort())).toEqual([]);
    expect(readdirSync(directory.path)).toEqual([]);
  });

  test('refuses wrong arguments in one line, with 2', () => {
    if (program === undefined) return;
    writeFileSync(file('log'), 'short');
    const cases: readonly (readonly [args: readonly string[], says: string])[] = [
      [[], 'usage: reference out'],
      [['sideways', 'x', 'y', '1'], 'usage: reference out'],
      [['out', 'sendfile', file('log')], 'usage: reference out'],
      [['out', 'splice', file('log'), '1'], 'sendfile, mmap or copy, not "splice"'],
      [['out', 'copy', file('log'), '5k'], 'CHUNK_BYTES is 1 to 2^28, not "5k"'],
      [['out', 'copy', file('log'), '6'], 'at least a chunk'],
      [['in', 'sendfile', file('log'), '6'], 'write, mmap or direct, not "sendfile"'],
      [['in', 'write', file('log'), '-1'], 'CAPACITY_BYTES'],
      [['drive', 'here', '1', file('log'), '1', '0', '1'], 'IPv4'],
      [['drive', '127.0.0.1', '1', file('log'), '1', '0', '1'], 'whole frames'],
      [['drive', '127.0.0.1', '0', file('log'), '1', '0', '1'], 'PORT'],
    ];
    for (const [args, says] of cases) {
      const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
      expect({ args, status, stderr }).toEqual({
        ...{ args, status: 2 },
        stderr: expect.stringContaining(says) as unknown,
      });
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
    const { status, stderr } = spawnSync(program, ['out', 'copy', file('none'), '1'], {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({
      ...{ status: 1, stderr: `reference: ${file('none')}: No such file or directory\n` },
    });
  });
});

describe('building it', () => {
  const path = process.env['PATH'];
  afterEach(() => {
    process.env['PATH'] = path;
  });

  test('warns of nothing', () => {
    if (program === undefined) return;
    const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Wpedantic', '-Werror'];
    const { status, stderr } = spawnSync('cc', [...flags, '-o', file('out'), source], {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('says in a line what is missing or wrong', async () => {
    const files = { source: file('reference.c'), built: file('build/reference') };
    writeFileSync(files.source, 'int main(void) { return nothing; }\n');
    if (program !== undefined) {
      await expect(referenceProgram(undefined, files)).rejects.toThrow(
        /does not compile here: .*nothing/,
      );
      expect(existsSync(files.built)).toBe(false);
    }
    process.env['PATH'] = directory.path;
    await expect(referenceProgram(undefined, files)).rejects.toThrow('needs a C compiler');
    // What was shipped built needs none.
    writeFileSync(file('old'), '');
    const shipped = { source: file('none.c'), built: file('old') };
    expect(await referenceProgram(undefined, shipped)).toBe(shipped.built);
  });
});

test('brokers are told as shares of the best loop, round by round', () => {
  const round = (mib: number): Measurement[] => [
    {
      ...{ phase: 'reference-out', latencies: {}, series: [] },
      consumed: { messages: 1, bytes: mib * 2 ** 20, seconds: 1, errors: 0 },
      generator: { busiest: 0, cpuSeconds: 0 },
    },
  ];
  const cells: Cell[] = [
    { name: 'mmap+sendfile', about: '', rounds: [round(80), round(60), round(90)] },
    { name: 'copy', about: '', reference: true, rounds: [round(50), round(50), round(50)] },
    { name: 'sendfile', about: '', reference: true, rounds: [round(100), round(80), round(100)] },
  ];
  const table = referenceTable(cells, 'reference-out', 'out');
  expect(table?.rows.map(([name, , share]) => [name, share])).toEqual([
    ['mmap+sendfile', '80 % (75 %–90 %)'],
    ['reference: copy', '50 % (50 %–63 %)'],
    ['reference: sendfile', 'the best'],
  ]);
  expect(referenceTable(cells.slice(0, 1), 'reference-out', 'out')).toBeUndefined();
});
