import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import {
  createTopicsApi,
  errorTable,
  fetchApi,
  listOffsetsApi,
  metadataApi,
  produceApi,
  RecordBatchBuilder,
} from '@millrace/protocol';
import type { Api, ErrorName } from '@millrace/protocol';
import { batchOf, RawClient } from '../broker/support/raw-client.js';
import { BrokerProcess } from '../support/broker-process.js';
import { makeTempDir } from '../support/temp-dir.js';

/** Each bad request comes this often; what it left behind each time would show. */
const REPEATS = 300;
const MAX_GROWTH_MIB = 64;
const UNKNOWN_ID = '0'.repeat(32);

let broker: BrokerProcess;
let client: Millrace;
let topicId: string;
let removeDirectory: () => Promise<void>;

beforeAll(async () => {
  const directory = await makeTempDir();
  removeDirectory = directory.remove;
  broker = await BrokerProcess.start(directory.path);
  client = new Millrace({ brokers: [broker.address] });
  topicId = (await client.admin.createTopic({ name: 'good' })).topicId;
});

afterAll(async () => {
  await client.close();
  await broker.kill();
  await removeDirectory();
});

function rssMiB(): number {
  const status = readFileSync(`/proc/${broker.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** A valid batch with some bytes changed. The CRC of a batch covers it from byte 21 on. */
function damaged(change: (batch: Buffer) => void): Buffer {
  const batch = batchOf('a', 'b', 'c');
  change(batch);
  return batch;
}

const flip = (position: number) => (batch: Buffer) => {
  batch.writeUInt8(batch.readUInt8(position) ^ 0x01, position);
};

/** One request on a connection of its own. */
async function ask<Request, Response>(
  api: Api<Request, Response>,
  request: Request,
  payload?: Buffer,
): Promise<Response> {
  const raw = await RawClient.open(broker.address);
  try {
    return (await raw.call(api, request, payload)).response;
  } finally {
    await raw.close();
  }
}

interface Row {
  readonly errorCode: number;
}

const codeOf = (rows: readonly Row[]): number => rows[0]?.errorCode ?? 0;

async function produceError(payload: Buffer, id = topicId, partition = 0): Promise<number> {
  const entries = [{ topicId: id, partition, byteLength: payload.length }];
  const response = await ask(produceApi, { acks: 1, timeoutMs: 10_000, entries }, payload);
  expect(response.entries[0]?.errorMessage).toMatch(/\w+ \w+/);
  return codeOf(response.entries);
}

async function fetchError(id: string, partition: number, offset: number): Promise<number> {
  const entries = [{ topicId: id, partition, offset, maxBytes: 1_000 }];
  return codeOf(
    (await ask(fetchApi, { maxWaitMs: 0, minBytes: 1, maxBytes: 1_000, entries })).entries,
  );
}

async function createError(
  name: string,
  partitions = 1,
  config: [string, string][] = [],
): Promise<number> {
  const topics = [{ name, partitions, config }];
  return codeOf((await ask(createTopicsApi, { topics, timeoutMs: 10_000 })).topics);
}

async function metadataError(name: string): Promise<number> {
  return codeOf((await ask(metadataApi, { topics: [name] })).topics);
}

async function listOffsetsError(id: string, partition: number): Promise<number> {
  const entries = [{ topicId: id, partition, timestampMs: -1 }];
  return codeOf((await ask(listOffsetsApi, { entries })).entries);
}

const yearMs = 365 * 86_400_000;
const future = (): Buffer => {
  const builder = new RecordBatchBuilder({});
  builder.append(null, 'late', null, Date.now() + yearMs);
  return builder.build();
};

const cases: readonly (readonly [string, ErrorName, () => Promise<number>])[] = [
  ['a batch with a wrong CRC', 'CORRUPT_MESSAGE', () => produceError(damaged(flip(70)))],
  ['a batch whose CRC is changed', 'CORRUPT_MESSAGE', () => produceError(damaged(flip(17)))],
  ['a batch with a wrong count', 'CORRUPT_MESSAGE', () => produceError(damaged(flip(60)))],
  [
    'a batch shorter than it says',
    'CORRUPT_MESSAGE',
    () => produceError(damaged((batch) => batch.writeInt32BE(batch.length + 100, 8))),
  ],
  [
    'a batch of another magic',
    'UNSUPPORTED_FOR_MESSAGE_FORMAT',
    () => produceError(damaged((batch) => batch.writeInt8(1, 16))),
  ],
  [
    'two batches in one entry',
    'INVALID_RECORD',
    () => produceError(Buffer.concat([batchOf('a'), batchOf('b')])),
  ],
  ['a batch that is no batch', 'CORRUPT_MESSAGE', () => produceError(Buffer.alloc(10, 7))],
  [
    'a batch that is too large',
    'MESSAGE_TOO_LARGE',
    () => produceError(batchOf(Buffer.alloc(9 * 2 ** 20))),
  ],
  ['a timestamp far in the future', 'INVALID_TIMESTAMP', () => produceError(future())],
  ['produce to an unknown topic', 'UNKNOWN_TOPIC_ID', () => produceError(batchOf('a'), UNKNOWN_ID)],
  [
    'produce to an unknown partition',
    'UNKNOWN_TOPIC_OR_PARTITION',
    () => produceError(batchOf('a'), topicId, 7),
  ],
  ['fetch from an unknown topic', 'UNKNOWN_TOPIC_ID', () => fetchError(UNKNOWN_ID, 0, 0)],
  [
    'fetch from an unknown partition',
    'UNKNOWN_TOPIC_OR_PARTITION',
    () => fetchError(topicId, 7, 0),
  ],
  ['fetch beyond the end', 'OFFSET_OUT_OF_RANGE', () => fetchError(topicId, 0, 10 ** 12)],
  ['listOffsets of an unknown topic', 'UNKNOWN_TOPIC_ID', () => listOffsetsError(UNKNOWN_ID, 0)],
  ['metadata of an unknown topic', 'UNKNOWN_TOPIC_OR_PARTITION', () => metadataError('nobody')],
  ['a topic name with a slash', 'INVALID_TOPIC', () => createError('a/b')],
  ['a topic named ..', 'INVALID_TOPIC', () => createError('..')],
  ['a topic name of 250 characters', 'INVALID_TOPIC', () => createError('x'.repeat(250))],
  ['a topic without partitions', 'INVALID_PARTITIONS', () => createError('none', 0)],
  ['a topic that exists', 'TOPIC_ALREADY_EXISTS', () => createError('good')],
  [
    'an unknown topic config',
    'INVALID_CONFIG',
    () => createError('c', 1, [['segment.bites', '1']]),
  ],
  [
    'a topic config out of range',
    'INVALID_CONFIG',
    () => createError('c', 1, [['segment.bytes', '-1']]),
  ],
];

describe('bad input to a real broker', () => {
  test.each(cases)('%s: %s', async (_name, error, send) => {
    expect(await send()).toBe(errorTable[error].code);
  });

  test('all of it, over and over, costs a bystander nothing and leaves no memory behind', async () => {
    const producer = client.producer({ acks: 1 });
    const sent: string[] = [];
    const round = async (i: number): Promise<void> => {
      const value = `bystander ${i}`;
      await Promise.all([
        producer.send('good', { value }),
        ...cases.map(async ([, error, send]) => {
          expect(await send()).toBe(errorTable[error].code);
        }),
      ]);
      sent.push(value);
    };
    const warmUp = REPEATS / 10;
    for (let i = 0; i < warmUp; i += 1) await round(i);
    const before = rssMiB();
    for (let i = warmUp; i < warmUp + REPEATS; i += 1) await round(i);
    expect(rssMiB() - before).toBeLessThan(MAX_GROWTH_MIB);

    const seen: string[] = [];
    for await (const { value } of client.consumer({ topics: ['good'], exitAtEnd: true })) {
      seen.push(value?.toString() ?? '');
    }
    expect(seen).toEqual(sent);
  });
});
