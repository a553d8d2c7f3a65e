import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { applyRetention } from '../../../broker/src/storage/retention.js';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { ProtocolError } from '@millrace/protocol';
import { drain, inPieces, makeBatch, recordsIn, rejection, T0 } from '../../support/batches.js';
import type { ReadRecord } from '../../support/batches.js';
import { FaultyPersistence } from '../../support/faulty-persistence.js';
import { testSeed } from '../../support/seed.js';
import {
  crashCopy,
  createTopic,
  filesIn,
  logDirectory,
  openTestStorage,
  partitionOf,
  persistKinds,
} from '../../support/storage.js';
import type { PersistKind, TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

interface ModelBatch {
  readonly records: readonly ReadRecord[];
  readonly sizeBytes: number;
  readonly producer: number;
  readonly baseSequence: number;
}

/** What a log is, without any of how: its batches, and the least that the next offset may be. */
interface Model {
  batches: ModelBatch[];
  /** The first offset that is answered for; batches below stay in the model. */
  start: number;
  end: number;
  appended: number;
  /** Batches from this one on were appended while no sync could go on. */
  heldFrom: number | undefined;
}

const lastOf = (model: Model, producer: number): ModelBatch | undefined =>
  model.batches.findLast((batch) => batch.producer === producer);
const nextSequence = (batch: ModelBatch | undefined): number =>
  batch === undefined ? 0 : batch.baseSequence + batch.records.length;
/** Of whole batches: readers get the one that holds the start from its first record on. */
const allRecords = ({ batches, start }: Model): ReadRecord[] =>
  batches.filter((batch) => nextOffset(batch) > start).flatMap(({ records }) => records);
const nextOffset = ({ records }: ModelBatch): number => (records.at(-1)?.offset ?? -1) + 1;

const RETENTION_BYTES = 9000;

interface Real {
  readonly kind: PersistKind;
  dir: { readonly path: string; remove(): Promise<void> };
  storage: TestStorage;
  faults: FaultyPersistence;
  partition: Partition;
}

type Command =
  | { readonly do: 'append'; records: number; valueBytes: number; producer: number; sync: boolean }
  | { readonly do: 'repeat' | 'gap'; producer: number }
  | { readonly do: 'read'; at: number; maxBytes: number; atLeastOne: boolean }
  | { readonly do: 'time' | 'delete'; at: number }
  | { readonly do: 'powerCut'; at: number }
  | { readonly do: 'clock' | 'hold' | 'clean' | 'crash' | 'retain' | 'seal' };

const fraction = fc.double({ min: 0, max: 1.05, noNaN: true });
const producer = fc.integer({ min: 1, max: 3 });
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      records: fc.integer({ min: 1, max: 6 }),
      valueBytes: fc.oneof(fc.integer({ min: 12, max: 60 }), fc.integer({ min: 200, max: 600 })),
      producer: fc.integer({ min: -1, max: 3 }),
      sync: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('repeat', 'gap'), producer }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      at: fraction,
      maxBytes: fc.integer({ min: 0, max: 6000 }),
      atLeastOne: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('time', 'delete'), at: fraction }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('clock', 'hold', 'clean', 'crash', 'retain', 'seal'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('powerCut' as const), at: fraction }) },
);

async function open(real: Real): Promise<void> {
  real.storage = await openTestStorage(real.dir.path, {
    kind: real.kind,
    wrap: (inner) => (real.faults = new FaultyPersistence(inner)),
    config: { offsetCeilingBlock: 50, checkpointIntervalMs: 1000 },
  });
  if (real.storage.topics.byName('t') === undefined) {
    await createTopic(real.storage, {
      ...{ 'segment.bytes': '4096', 'max.message.bytes': '4096', 'index.interval.bytes': '1024' },
      'retention.bytes': String(RETENTION_BYTES),
    });
  }
  real.partition = partitionOf(real.storage);
}

async function append(
  { partition }: Real,
  model: Model,
  { records, valueBytes, producer, sync }: Command & { do: 'append' },
): Promise<void> {
  const baseSequence = producer < 0 ? -1 : nextSequence(lastOf(model, producer));
  const timestampMs = T0 + model.appended * 10;
  const tag = `${model.appended}`;
  const stamp = producer < 0 ? {} : { producerId: producer, producerEpoch: 0, baseSequence };
  const bytes = makeBatch({ records, valueBytes, tag, timestampMs, ...stamp });
  const acks = sync && model.heldFrom === undefined ? -1 : 1;
  const { baseOffset } = await partition.append(inPieces(bytes, 97), acks);
  expect(baseOffset).toBeGreaterThanOrEqual(model.end);
  const stored = recordsIn(bytes).map((record, i) => ({ ...record, offset: baseOffset + i }));
  model.batches.push({ records: stored, sizeBytes: bytes.length, producer, baseSequence });
  model.end = baseOffset + records;
  model.appended += 1;
}

async function appendOutOfTurn(real: Real, model: Model, id: number, gap: boolean): Promise<void> {
  const last = lastOf(model, id);
  if (last === undefined) return;
  const baseSequence = gap ? nextSequence(last) + 1 : last.baseSequence;
  const records = gap ? 1 : last.records.length;
  const bytes = makeBatch({ records, producerId: id, producerEpoch: 0, baseSequence });
  const work = real.partition.append(inPieces(bytes, 50), 1);
  if (gap) expect((await rejection(work)).errorName).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
  else expect((await work).baseOffset).toBe(last.records[0]?.offset);
}

async function read(
  { partition }: Real,
  model: Model,
  { at, maxBytes, atLeastOne }: Command & { do: 'read' },
): Promise<void> {
  const offset = Math.floor(at * partition.endOffset);
  if (offset > partition.endOffset || offset < model.start) {
    const error = await rejection(partition.read(offset, maxBytes, atLeastOne));
    expect(error.errorName).toBe('OFFSET_OUT_OF_RANGE');
    return;
  }
  const region = await partition.read(offset, maxBytes, atLeastOne);
  const from = model.batches.findIndex(({ records }) => (records.at(-1)?.offset ?? -1) >= offset);
  if (region === undefined) {
    // Either nothing is there, or the first batch is larger than allowed.
    if (from < 0) return;
    expect(atLeastOne).toBe(false);
    expect(model.batches[from]?.sizeBytes).toBeGreaterThan(maxBytes);
    return;
  }
  const bytes = drain(region);
  const records = recordsIn(bytes);
  const behind = model.batches.slice(from).flatMap((batch) => batch.records);
  const whole = behind.slice(0, records.length);
  if (!isDeepStrictEqual(records, whole)) expect(records).toEqual(whole);
  const first = model.batches[from]?.records.length ?? 0;
  if (bytes.length > maxBytes) {
    expect(atLeastOne).toBe(true);
    expect(records).toHaveLength(first);
  }
}

async function findTime({ partition }: Real, model: Model, at: number): Promise<void> {
  const timestampMs = T0 + Math.floor(at * model.appended * 10) + 1;
  const found = await partition.offsetForTimestamp(timestampMs);
  const expected = allRecords(model).find(
    (record) => record.timestampMs >= timestampMs && record.offset >= model.start,
  );
  expect(found?.offset).toBe(expected?.offset);
}

async function checkAll({ partition }: Real, model: Model): Promise<void> {
  expect(partition.state).toBe('online');
  expect(partition.endOffset).toBeGreaterThanOrEqual(model.end);
  expect(partition.highWatermark).toBe(partition.endOffset);
  expect(partition.startOffset).toBe(model.start);
  const expected = allRecords(model);
  const records: ReadRecord[] = [];
  for (let next = model.start; ; next = (records.at(-1)?.offset ?? 0) + 1) {
    const region = await partition.read(next, 5000, true);
    if (region === undefined) break;
    records.push(...recordsIn(drain(region)));
  }
  if (!isDeepStrictEqual(records, expected)) expect(records).toEqual(expected);
}

async function deleteRecords({ partition }: Real, model: Model, at: number): Promise<void> {
  const { highWatermark } = partition;
  // Mostly little, or there would be nothing left to look at.
  const upTo = at > 1 ? highWatermark + 1 : Math.floor(at ** 4 * highWatermark);
  if (upTo > highWatermark) {
    const { errorName } = await rejection(partition.deleteRecords(upTo));
    expect(errorName).toBe('OFFSET_OUT_OF_RANGE');
    return;
  }
  model.start = Math.max(model.start, upTo);
  expect(await partition.deleteRecords(upTo)).toBe(model.start);
}

async function retain({ partition, storage }: Real, model: Model): Promise<void> {
  const { log } = partition;
  // A seal waits for a sync.
  if (log === undefined || model.heldFrom !== undefined) return;
  await applyRetention(log, storage.clock.nowMs);
  expect(partition.startOffset).toBeGreaterThanOrEqual(model.start);
  if (partition.startOffset > model.start) {
    expect(partition.sizeBytes).toBeGreaterThanOrEqual(RETENTION_BYTES);
  }
  model.start = partition.startOffset;
}

async function restart(
  real: Real,
  model: Model,
  crash: boolean,
  harm?: (directory: string) => Promise<void>,
): Promise<void> {
  if (crash) {
    const copy = await crashCopy(real.dir.path);
    await harm?.(logDirectory(copy.path, real.partition));
    real.faults.letSyncsGo();
    await real.storage.close();
    await real.dir.remove();
    real.dir = copy;
  } else {
    real.faults.letSyncsGo();
    await real.storage.close();
  }
  model.heldFrom = undefined;
  await open(real);
  await checkAll(real, model);
}

/** Damages a batch that no sync covered: it and those behind it are lost, those before it are not. */
async function powerCut(real: Real, model: Model, at: number): Promise<void> {
  const { batches, heldFrom = batches.length } = model;
  const lost = heldFrom + Math.floor(at * (batches.length - heldFrom));
  const victim = batches[lost];
  if (victim === undefined) return restart(real, model, true);
  const offset = victim.records[0]?.offset ?? 0;
  model.batches = batches.slice(0, lost);
  await restart(real, model, true, async (directory) => {
    const bases = (await filesIn(directory, '.log')).map((name) => Number(name.slice(0, 20)));
    const base = bases.findLast((candidate) => candidate <= offset) ?? 0;
    const before = batches
      .slice(0, lost)
      .filter(({ records }) => (records[0]?.offset ?? 0) >= base);
    const start = before.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const path = join(directory, `${String(base).padStart(20, '0')}.log`);
    const bytes = await readFile(path);
    const hit = start + Math.floor((at * 7919) % victim.sizeBytes);
    bytes.writeUInt8(bytes.readUInt8(hit) ^ 0xff, hit);
    await writeFile(path, bytes);
  });
}

async function step(real: Real, model: Model, todo: Command): Promise<void> {
  switch (todo.do) {
    case 'append':
      return append(real, model, todo);
    case 'repeat':
    case 'gap':
      return appendOutOfTurn(real, model, todo.producer, todo.do === 'gap');
    case 'read':
      return read(real, model, todo);
    case 'time':
      return findTime(real, model, todo.at);
    case 'delete':
      return deleteRecords(real, model, todo.at);
    case 'retain':
      return retain(real, model);
    case 'seal':
      return model.heldFrom === undefined ? real.partition.log?.seal() : undefined;
    case 'clock':
      real.storage.clock.advance(1500);
      return;
    case 'hold':
      real.faults.holdSyncs();
      model.heldFrom ??= model.batches.length;
      return;
    case 'powerCut':
      return powerCut(real, model, todo.at);
    case 'clean':
    case 'crash':
      return restart(real, model, todo.do === 'crash');
  }
}

describe('a partition against a model', () => {
  const seed = testSeed();
  const opened = new Set<Real>();
  afterAll(async () => {
    for (const real of opened) {
      real.faults.letSyncsGo();
      await real.storage.close();
      await real.dir.remove();
    }
  });

  test.each(persistKinds)('any order of appends, reads and restarts (%s)', async (kind) => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 50 }), async (commands) => {
        const real = { kind, dir: await makeTempDir() } as Real;
        await open(real);
        opened.add(real);
        const model: Model = { batches: [], start: 0, end: 0, appended: 0, heldFrom: undefined };
        for (const todo of commands) await step(real, model, todo);
        await checkAll(real, model);
        await restart(real, model, true);
        await real.storage.close();
        await real.dir.remove();
        opened.delete(real);
      }),
      { seed, numRuns: 30, endOnFailure: process.env['MILLRACE_TEST_SHRINK'] === undefined },
    );
  });

  test('offsets outside of the log are out of range', async () => {
    const real = { kind: 'mmap', dir: await makeTempDir() } as Real;
    await open(real);
    opened.add(real);
    for (const offset of [-1, 1]) {
      const error: unknown = await real.partition.read(offset, 1, true).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(ProtocolError);
      expect(error).toMatchObject({ errorName: 'OFFSET_OUT_OF_RANGE' });
    }
    expect(await real.partition.read(0, 1, true)).toBeUndefined();
  });
});
