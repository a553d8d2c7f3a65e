import { describe, expect, test } from '@jest/globals';
import { ByteChunks, ProtocolError } from '@millrace/protocol';
import type { FetchRequest } from '@millrace/protocol';
import { pino } from 'pino';
import { BrokerCounters } from '../../../broker/src/counters.js';
import type { RequestContext, Wait } from '../../../broker/src/handlers/context.js';
import { FetchHandler } from '../../../broker/src/handlers/fetch.js';
import type { HandlerServices } from '../../../broker/src/handlers/services.js';
import { Roster } from '../../../broker/src/roster.js';
import type { FileRegion } from '../../../broker/src/storage/file-region.js';
import { membersOf } from '../support/members-of.js';

const BATCH_BYTES = 100;
const topicId = 'a'.repeat(32);

/** A partition in memory: every batch has one record and `batchBytes`. */
class FakePartition {
  readonly state = 'online';
  readonly startOffset = 0;
  readonly leaderEpoch = 3;
  readonly listeners = new Set<() => void>();
  open = 0;
  released = 0;
  problem: Error | undefined;
  /** Set to make reads wait; by default they are there at once. */
  gate: Promise<void> | undefined;

  constructor(
    public highWatermark: number,
    readonly batchBytes = BATCH_BYTES,
  ) {}

  /** Appended and not yet visible, as with `visibility: durable` before a sync. */
  hidden = 0;
  /** The high watermark is beyond the data, as after an unclean stop. */
  empty = false;

  get sizeBytes(): number {
    return (this.highWatermark + this.hidden) * this.batchBytes;
  }

  sync(): void {
    const count = this.hidden;
    this.hidden = 0;
    this.append(count);
  }

  append(count: number): void {
    this.highWatermark += count;
    for (const listener of this.listeners) listener();
  }

  onVisible(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  readAtOnce(
    offset: number,
    maxBytes: number,
    atLeastOne: boolean,
  ): FileRegion | undefined | Promise<FileRegion | undefined> {
    const read = (): FileRegion | undefined => this.#read(offset, maxBytes, atLeastOne);
    return this.gate === undefined ? read() : this.gate.then(read);
  }

  #read(offset: number, maxBytes: number, atLeastOne: boolean): FileRegion | undefined {
    if (this.problem !== undefined) throw this.problem;
    if (offset > this.highWatermark) throw new ProtocolError('OFFSET_OUT_OF_RANGE');
    const there = this.empty ? 0 : this.highWatermark - offset;
    const fit = Math.floor(maxBytes / this.batchBytes);
    const batches = Math.min(there, atLeastOne ? Math.max(fit, 1) : fit);
    if (batches === 0) return undefined;
    this.open += 1;
    return {
      length: batches * this.batchBytes,
      release: () => {
        this.released += 1;
      },
    } as unknown as FileRegion;
  }
}

function setUp(
  partitions: readonly FakePartition[],
  more: { readonly visibility?: string; readonly maxFetchBytes?: number } = {},
): {
  handler: FetchHandler;
  context: RequestContext;
  waits: Roster<Wait>;
} {
  const topic = { name: 't', id: topicId, partitions };
  const services = {
    storage: { topics: { byId: (id: string) => (id === topicId ? topic : undefined) } },
    config: { maxFetchBytes: 10_000, maxFetchWaitMs: 60_000, visibility: 'appended', ...more },
    counters: new BrokerCounters(),
    logger: pino({ level: 'silent' }),
  } as unknown as HandlerServices;
  const waits = new Roster<Wait>();
  const context = {
    connection: { remoteAddress: 'test', waits, closing: false },
    receivedAtMs: performance.now(),
    deadlineMs: performance.now() + 1_000,
    wantsAnswer: true,
  };
  return { handler: new FetchHandler(services), context, waits };
}

function request(rows: number, more: Partial<FetchRequest> = {}): FetchRequest {
  const entries = Array.from({ length: rows }, (_, partition) => ({
    ...{ topicId, partition, offset: 0, maxBytes: 10_000 },
  }));
  return { maxWaitMs: 0, minBytes: 1, maxBytes: 1_000, entries, ...more };
}

/** What is read from memory is there at once; what is looked up on the disk comes later. */
describe.each([
  ['at once', () => false],
  ['later', () => true],
  ['some at once and some later', (made: number) => made % 2 === 1],
] as const)('bytes among rows that are read %s', (_name, isLater) => {
  const LARGE_BYTES = 10_000;
  let made = 0;

  function partitionOf(count: number, batchBytes?: number): FakePartition {
    const partition = new FakePartition(count, batchBytes);
    if (isLater(made)) partition.gate = Promise.resolve();
    made += 1;
    return partition;
  }

  test.each([
    ['are shared evenly', [50, 50], 1_000_000, [500_000, 500_000]],
    ['go to who has something', [0, 50, 0], 500_000, [0, 500_000, 0]],
    ['that one row leaves go to the next', [2, 100], 1_000_000, [20_000, 980_000]],
    ['are never more than the sum', [50, 50, 50], 1_000_000, [330_000, 330_000, 340_000]],
    ['are not cut up small', [50, 50, 50, 50, 50], 800_000, [260_000, 260_000, 260_000, 20_000, 0]],
    ['too few for a batch each go to the first', [1, 1, 1], 20_000, [10_000, 10_000, 0]],
    ['fewer than a batch still give the first one', [5, 5], 10, [10_000, 0]],
  ] as const)('%s', async (_name, stored, maxBytes, expected) => {
    const partitions = stored.map((count) => partitionOf(count, LARGE_BYTES));
    const { handler, context } = setUp(partitions, { maxFetchBytes: 10_000_000 });
    const wish = request(stored.length, { maxBytes });
    const entries = wish.entries.map((entry) => ({ ...entry, maxBytes: 10_000_000 }));
    const handled = handler.handle({ ...wish, entries }, ByteChunks.empty, context);
    if (partitions.every(({ gate }) => gate === undefined)) {
      expect(handled).not.toBeInstanceOf(Promise);
    }
    const answer = await handled;
    expect(answer?.response.entries.map(({ byteLength }) => byteLength)).toEqual(expected);
    expect(answer?.payload.map(({ length }) => length)).toEqual(
      expected.filter((length) => length > 0),
    );
  });

  test('end with the first batch that they do not suffice for, and nothing is read behind it', async () => {
    const partitions = [partitionOf(1), partitionOf(1, 5_000), partitionOf(1)];
    const { handler, context } = setUp(partitions);
    const answer = await handler.handle(request(3, { maxBytes: 1_000 }), ByteChunks.empty, context);
    expect(answer?.response.entries.map(({ byteLength }) => byteLength)).toEqual([100, 0, 0]);
    expect(partitions.map(({ open }) => open)).toEqual([1, 1, 0]);
    expect(partitions.map(({ released }) => released)).toEqual([0, 1, 0]);
  });

  test('go on behind a row whose own bound is too small for its batch', async () => {
    const partitions = [partitionOf(1), partitionOf(1, 5_000), partitionOf(1)];
    const { handler, context } = setUp(partitions);
    const wish = request(3, { maxBytes: 10_000 });
    const entries = wish.entries.map((entry) => ({ ...entry, maxBytes: 1_000 }));
    const answer = await handler.handle({ ...wish, entries }, ByteChunks.empty, context);
    expect(answer?.response.entries.map(({ byteLength }) => byteLength)).toEqual([100, 0, 100]);
  });

  test('are not kept for rows that only seemed to have something', async () => {
    const partitions = [50, 50, 50].map((count) => partitionOf(count));
    for (const partition of partitions.slice(0, 2)) partition.empty = true;
    const { handler, context } = setUp(partitions);
    const answer = await handler.handle(request(3), ByteChunks.empty, context);
    expect(answer?.response.entries.map(({ byteLength }) => byteLength)).toEqual([0, 0, 1_000]);
  });

  test('are bounded by the broker whatever the client asks for', async () => {
    const { handler, context } = setUp([partitionOf(1_000)]);
    const wish = request(1, { maxBytes: 1_000_000 });
    const entries = wish.entries.map((entry) => ({ ...entry, maxBytes: 1_000_000 }));
    const answer = await handler.handle({ ...wish, entries }, ByteChunks.empty, context);
    expect(answer?.response.entries[0]?.byteLength).toBe(10_000);
  });

  test('leave errors to their rows, beside the data of the others', async () => {
    const [bad, defect, good] = [partitionOf(5), partitionOf(5), partitionOf(5)];
    bad.problem = new ProtocolError('CORRUPT_LOG', 'damaged');
    defect.problem = new TypeError('a defect');
    const { handler, context } = setUp([bad, defect, good]);
    const wish = request(4, { maxWaitMs: 60_000, minBytes: 900 });
    const answer = await handler.handle(wish, ByteChunks.empty, context);
    const rows = answer?.response.entries ?? [];
    expect(rows.map(({ errorCode }) => errorCode)).toEqual([1004, -1, 0, 3]);
    expect(rows[0]?.errorMessage).toBe('damaged');
    expect(rows[1]?.errorMessage).not.toContain('defect');
    expect(good.open).toBe(1);
    expect(good.released).toBe(0);
  });

  test('leave an error to a row of an unknown topic id', async () => {
    const { handler, context } = setUp([]);
    const entries = [{ topicId: 'b'.repeat(32), partition: 0, offset: 0, maxBytes: 1 }];
    const answer = await handler.handle(request(0, { entries }), ByteChunks.empty, context);
    expect(answer?.response.entries[0]?.errorCode).toBe(100);
  });
});

describe('waiting', () => {
  test('does not begin for an answer that has no room for more', async () => {
    const { handler, context, waits } = setUp([new FakePartition(1), new FakePartition(1, 5_000)]);
    const wish = request(2, { maxWaitMs: 60_000, minBytes: 1_000, maxBytes: 1_000 });
    const answer = await handler.handle(wish, ByteChunks.empty, context);
    expect(answer?.response.entries.map(({ byteLength }) => byteLength)).toEqual([100, 0]);
    expect(waits.size).toBe(0);
  });

  test('holds no region, and ends with the append that gives enough', async () => {
    const partition = new FakePartition(2);
    const { handler, context, waits } = setUp([partition]);
    const wish = request(1, { maxWaitMs: 60_000, minBytes: 500 });
    const pending = handler.handle(wish, ByteChunks.empty, context);
    while (waits.size === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(partition.released).toBe(partition.open);
    partition.append(1);
    expect(waits.size).toBe(1);
    partition.append(2);
    const answer = await pending;
    expect(answer?.response.entries[0]?.byteLength).toBe(500);
    expect(waits.size).toBe(0);
    expect(partition.listeners.size).toBe(0);
  });

  test('with durable visibility ends with the sync of what was appended before it', async () => {
    const partition = new FakePartition(2);
    partition.hidden = 3;
    const { handler, context, waits } = setUp([partition], { visibility: 'durable' });
    const wish = request(1, { maxWaitMs: 60_000, minBytes: 500 });
    const pending = handler.handle(wish, ByteChunks.empty, context);
    while (waits.size === 0) await new Promise((resolve) => setImmediate(resolve));
    const [wait] = membersOf(waits);
    partition.hidden += 1;
    partition.append(0);
    expect(membersOf(waits)).toContain(wait);
    partition.sync();
    expect(membersOf(waits)).not.toContain(wait);
    // Nobody else comes: without the sync's look, this would wait for its minute.
    expect((await pending)?.response.entries[0]?.byteLength).toBe(600);
  });

  test('does not miss an append between the look and the wait', async () => {
    const partition = new FakePartition(1);
    let open: () => void = () => undefined;
    partition.gate = new Promise((resolve) => {
      open = resolve;
    });
    const { handler, context } = setUp([partition]);
    const wish = request(1, { maxWaitMs: 60_000, minBytes: 200, maxBytes: 1_000 });
    const entries = wish.entries.map((entry) => ({ ...entry, maxBytes: 200 }));
    const pending = handler.handle({ ...wish, entries }, ByteChunks.empty, context);
    partition.append(1);
    open();
    expect((await pending)?.response.entries[0]?.byteLength).toBe(200);
  });

  test('is cancelled with its connection, without an answer', async () => {
    const partition = new FakePartition(2);
    const { handler, context, waits } = setUp([partition]);
    const wish = request(1, { maxWaitMs: 60_000, minBytes: 500 });
    const pending = handler.handle(wish, ByteChunks.empty, context);
    while (waits.size === 0) await new Promise((resolve) => setImmediate(resolve));
    waits.forEach((wait) => wait.cancel());
    expect(await pending).toBeUndefined();
    expect(partition.released).toBe(partition.open);
    expect(partition.listeners.size).toBe(0);
  });

  test('is cut short with what there is when the connection closes in good order', async () => {
    const partition = new FakePartition(2);
    const { handler, context, waits } = setUp([partition]);
    const wish = request(1, { maxWaitMs: 60_000, minBytes: 500 });
    const pending = handler.handle(wish, ByteChunks.empty, context);
    while (waits.size === 0) await new Promise((resolve) => setImmediate(resolve));
    waits.forEach((wait) => wait.hurry());
    expect((await pending)?.response.entries[0]?.byteLength).toBe(200);
  });
});
