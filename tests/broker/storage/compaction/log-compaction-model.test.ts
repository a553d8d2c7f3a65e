import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { testSeed } from '../../../support/seed.js';
import { crashCopy, filesIn, TestClock } from '../../../support/storage.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { CompactedTopic } from './compacted-topic.js';
import { asText } from './segment-files.js';
import type { KeyedRecord, StoredRecord } from './segment-files.js';

const DELETE_RETENTION_MS = 10_000;
const CONFIG = { 'delete.retention.ms': String(DELETE_RETENTION_MS) };
const STORAGE = { config: { cleanerMemoryBytes: 24 * 12, offsetCeilingBlock: 50 } };

type Command =
  | { readonly do: 'append'; records: KeyedRecord[]; codec: 'none' | 'gzip' | 'lz4' | 'zstd' }
  | { readonly do: 'repeat' | 'seal' | 'compact' | 'restart' | 'crash' }
  | { readonly do: 'crashWhileCompacting'; atStep: number }
  | { readonly do: 'deleteRecords'; at: number }
  | { readonly do: 'clock'; ms: number };

const recordArbitrary = fc.record({
  key: fc.integer({ min: 0, max: 15 }).map((i) => `k${i}`),
  value: fc.option(fc.string({ minLength: 1, maxLength: 80 }), { nil: null, freq: 4 }),
});
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      records: fc.array(recordArbitrary, { minLength: 1, maxLength: 8 }),
      codec: fc.constantFrom('none', 'gzip', 'lz4', 'zstd'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('seal', 'compact') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('repeat', 'restart', 'crash') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('crashWhileCompacting' as const),
      atStep: fc.integer({ min: 0, max: 12 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('deleteRecords' as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('clock' as const),
      ms: fc.integer({ min: 1, max: 2 * DELETE_RETENTION_MS }),
    }),
  },
);

/** Everything that was ever appended, and what a producer would do next. */
interface Model {
  readonly all: StoredRecord[];
  start: number;
  sequence: number;
  last: { readonly batch: Append; readonly baseOffset: number } | undefined;
}
interface Append {
  readonly records: readonly KeyedRecord[];
  readonly compression: 'none' | 'gzip' | 'lz4' | 'zstd';
  readonly baseSequence: number;
  readonly producerId: number;
  readonly timestampMs: number;
}

const removals: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const remove of removals) await remove();
});

test('any history leaves the last value of each key, readable from every offset', async () => {
  const property = fc.asyncProperty(
    fc.array(command, { minLength: 5, maxLength: 50 }),
    async (commands) => {
      const dir = await makeTempDir();
      removals.push(dir.remove);
      const clock = new TestClock();
      const real = { topic: await CompactedTopic.create(dir.path, { ...STORAGE, clock }, CONFIG) };
      const model: Model = { all: [], start: 0, sequence: 0, last: undefined };
      try {
        for (const each of commands) await run(each, model, real, clock);
        await real.topic.compact();
        await check(model, real.topic);
        expect(await bytesInFiles(real.topic)).toBe(real.topic.log.sizeBytes);
      } finally {
        await real.topic.storage.close();
      }
    },
  );
  await fc.assert(property, { numRuns: 40, seed: testSeed() });
});

async function run(
  command: Command,
  model: Model,
  real: { topic: CompactedTopic },
  clock: TestClock,
): Promise<void> {
  const { topic } = real;
  if (command.do === 'append') await appendNext(command, model, topic, clock);
  else if (command.do === 'repeat') await repeatLast(model, topic);
  else if (command.do === 'seal') await topic.log.seal();
  else if (command.do === 'clock') clock.advance(command.ms);
  else if (command.do === 'deleteRecords') {
    const offset = Math.floor(command.at * topic.partition.endOffset);
    model.start = await topic.log.removeBefore(offset, 'a test');
  } else {
    if (command.do === 'compact') await topic.compact();
    if (command.do === 'restart') await topic.restart();
    if (command.do === 'crash') real.topic = await crash(topic);
    if (command.do === 'crashWhileCompacting') real.topic = await crashAt(topic, command.atStep);
    await check(model, real.topic);
  }
}

async function appendNext(
  { records, codec }: Extract<Command, { do: 'append' }>,
  model: Model,
  topic: CompactedTopic,
  clock: TestClock,
): Promise<void> {
  const batch: Append = {
    ...{ records, compression: codec, baseSequence: model.sequence, producerId: 5 },
    timestampMs: clock.nowMs,
  };
  const baseOffset = topic.partition.endOffset;
  await topic.append(batch);
  model.sequence += records.length;
  model.last = { batch, baseOffset };
  for (const [i, record] of records.entries()) {
    model.all.push({ ...record, offset: baseOffset + i, timestampMs: clock.nowMs });
  }
}

/** The last batch is recognised, whatever became of its records. */
async function repeatLast(model: Model, topic: CompactedTopic): Promise<void> {
  if (model.last === undefined) return;
  const before = topic.partition.endOffset;
  await topic.append(model.last.batch);
  expect(topic.partition.endOffset).toBe(before);
}

async function crash(topic: CompactedTopic): Promise<CompactedTopic> {
  const copy = await crashCopy(topic.path);
  removals.push(copy.remove);
  await topic.storage.close();
  return CompactedTopic.open(copy.path, topic.options);
}

/** As a kill at the n-th step of the swaps would leave it; after the pass if it has fewer. */
async function crashAt(topic: CompactedTopic, atStep: number): Promise<CompactedTopic> {
  let copy: Awaited<ReturnType<typeof makeTempDir>> | undefined;
  let step = 0;
  await topic.compact({
    onStep: async () => {
      step += 1;
      if (step === atStep) copy = await crashCopy(topic.path);
    },
  });
  if (copy === undefined) return crash(topic);
  removals.push(copy.remove);
  await topic.storage.close();
  return CompactedTopic.open(copy.path, topic.options);
}

async function check(model: Model, topic: CompactedTopic): Promise<void> {
  const { start } = model;
  expect(topic.partition.startOffset).toBe(start);
  const visible = model.all.filter(({ offset }) => offset >= start);
  const were = new Map(visible.map((record) => [record.offset, record]));
  const left = await topic.read(start);
  let before = -1;
  for (const record of left) {
    expect(record).toEqual(were.get(record.offset));
    expect(record.offset).toBeGreaterThan(before);
    before = record.offset;
  }
  expect(table(left)).toEqual(table(visible));
  for (let offset = start; offset < topic.partition.endOffset; offset += 7) {
    const found = await topic.read(offset, 300);
    expect(found.map(asText)).toEqual(left.filter((record) => record.offset >= offset).map(asText));
  }
}

/** What a table made of the log holds. */
function table(records: readonly StoredRecord[]): (readonly (string | null)[])[] {
  return [...new Map(records.map(({ key, value }) => [key, value]))]
    .filter(([, value]) => value !== null)
    .sort();
}

async function bytesInFiles({ log }: CompactedTopic): Promise<number> {
  await log.seal();
  // A log has no directory before its first append.
  if (!existsSync(log.directory)) return 0;
  let bytes = 0;
  for (const name of await filesIn(log.directory, '.log')) {
    bytes += (await stat(join(log.directory, name))).size;
  }
  return bytes;
}
