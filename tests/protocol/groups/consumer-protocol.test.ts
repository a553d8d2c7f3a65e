import { readFileSync } from 'node:fs';
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  MAX_GROUP_METADATA_BYTES,
  MAX_SUBSCRIBED_TOPICS,
  ProtocolError,
} from '@millrace/protocol';
import type { ConsumerAssignment, ConsumerSubscription } from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { expectError } from '../records/fixtures.js';

/** Bytes as Kafka's format has them, and what they say. */
interface GoldenCase {
  readonly kind: 'subscription' | 'assignment';
  readonly name: string;
  readonly source: string;
  /** One line for each field or group of fields. */
  readonly hex: readonly string[];
  /** `{ "bytesHex": "…" }` stands for a Buffer. */
  readonly message: unknown;
}

const golden = new URL('../../golden/groups/consumer-protocol.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(golden, 'utf8'), (_, value: unknown) => {
  if (typeof value !== 'object' || value === null || !('bytesHex' in value)) return value;
  return Buffer.from(value.bytesHex as string, 'hex');
}) as { readonly cases: readonly GoldenCase[] };

const hex = (...lines: readonly string[]) => Buffer.from(lines.join('').replaceAll(' ', ''), 'hex');
const bytesOf = (each: GoldenCase) => hex(...each.hex);
const decode = (kind: GoldenCase['kind'], bytes: Buffer) =>
  kind === 'subscription' ? decodeSubscription(bytes) : decodeAssignment(bytes);

const named = cases.map((each) => [`${each.kind}, ${each.name}`, each] as const);
const written = named.filter(([, each]) => bytesOf(each).readInt16BE(0) === 3);

describe('golden bytes', () => {
  test.each(named)('%s: are read', (_, each) => {
    expect(decode(each.kind, bytesOf(each))).toEqual(each.message);
  });

  test.each(written)('%s: are written', (_, { kind, hex: lines, message }) => {
    const bytes =
      kind === 'subscription'
        ? encodeSubscription(message as ConsumerSubscription)
        : encodeAssignment(message as ConsumerAssignment);
    expect(bytes.toString('hex')).toBe(hex(...lines).toString('hex'));
  });

  test.each(named)('%s: are refused cut off anywhere, and with a byte more', (_, each) => {
    const whole = bytesOf(each);
    for (let length = 0; length < whole.length; length += 1) {
      const run = () => decode(each.kind, whole.subarray(0, length));
      expectError(run, 'INVALID_REQUEST', new RegExp(`of ${length} bytes is malformed: .`));
    }
    const more = Buffer.concat([whole, Buffer.alloc(1)]);
    expectError(() => decode(each.kind, more), 'INVALID_REQUEST', /1 bytes follow its last field/);
  });
});

describe('what is malformed is refused by name', () => {
  const head = '0003 00000001 0006 6f7264657273';

  test.each<[string, string, RegExp]>([
    ['a version below 0', 'ffff', /its version is -1; 0 to 3 can be read/],
    ['a version from the future', '0004 00000000 ffffffff', /its version is 4/],
    ['topics that are null', '0003 ffffffff', /topics is -1, below 0/],
    ['more topics than may be', '0003 00002711', /topics claims 10001 items; it may have 10000/],
    ['more topics than bytes', '0003 00000003 0000', /claims 3 items, but only 2 bytes are left/],
    ['a topic that is null', '0003 00000001 ffff', /a topic is null/],
    ['a topic of negative length', '0003 00000001 fffe', /a topic claims -2 bytes/],
    ['a topic that is too long', '0003 00000001 00fa', /claims 250 bytes; it may have 249/],
    ['a topic that is cut off', '0003 00000001 0003 6161', /it ends within a topic/],
    ['a topic that is not text', '0003 00000001 0002 c328', /a topic is not valid UTF-8/],
    ['user data of negative length', `${head} fffffffe`, /userData is -2, below -1/],
    ['user data that is cut off', `${head} 00000002 00`, /it ends within userData/],
    [
      'a partition below 0',
      `${head} ffffffff 00000001 0001 61 00000001 ffffffff`,
      /a partition is -1, below 0/,
    ],
    [
      'more partitions than bytes',
      `${head} ffffffff 00000001 0001 61 00000002 00000000`,
      /partitions of a claims 2 items, but only 4 bytes are left/,
    ],
    ['a generation below -1', `${head} ffffffff 00000000 fffffffe`, /generation is -2, below -1/],
    ['a rack of negative length', `${head} ffffffff 00000000 00000000 fffe`, /rackId claims -2/],
  ])('%s', (_, bytes, message) => {
    expectError(() => decodeSubscription(hex(bytes)), 'INVALID_REQUEST', message);
  });

  test('more bytes than a member may send', () => {
    const bytes = Buffer.alloc(MAX_GROUP_METADATA_BYTES + 1);
    expectError(() => decodeAssignment(bytes), 'INVALID_REQUEST', /it may have 1048576 bytes/);
  });
});

describe('what cannot be read again is not written', () => {
  const good: ConsumerSubscription = {
    ...{ topics: ['orders'], userData: null, owned: [], generation: -1, rackId: null },
  };
  const many = new Array<string>(MAX_SUBSCRIBED_TOPICS + 1).fill('t');

  test.each<[string, Partial<ConsumerSubscription>, RegExp]>([
    ['too many topics', { topics: many }, /topics has 10001 items; it may have 10000/],
    ['a long topic', { topics: ['é'.repeat(125)] }, /a topic has 250 bytes; it may have 249/],
    ['a generation', { generation: -2 }, /generation is -2; it must be an integer from -1/],
    [
      'a partition',
      { owned: [{ topic: 'orders', partitions: [0.5] }] },
      /a partition is 0.5; it must be an integer from 0/,
    ],
    [
      'too much in all',
      { userData: Buffer.alloc(MAX_GROUP_METADATA_BYTES) },
      /takes 1048604 bytes; it may take 1048576/,
    ],
  ])('%s', (_, change, message) => {
    expectError(() => encodeSubscription({ ...good, ...change }), 'INVALID_REQUEST', message);
  });
});

describe('random content', () => {
  const topic = fc.string({ unit: 'grapheme', maxLength: 10 });
  const partition = fc.integer({ min: 0, max: 2 ** 31 - 1 });
  const topicPartitions = fc.array(
    fc.record({ topic, partitions: fc.array(partition, { maxLength: 40 }) }),
  );
  const userData = fc.option(
    fc.uint8Array({ maxLength: 1_000 }).map((bytes) => Buffer.from(bytes)),
  );

  test('comes back as it was written', () => {
    const subscription = fc.record({
      topics: fc.array(topic),
      userData,
      owned: topicPartitions,
      generation: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
      rackId: fc.option(fc.string()),
    });
    fc.assert(
      fc.property(subscription, (each) => {
        expect(decodeSubscription(encodeSubscription(each))).toEqual(each);
      }),
    );
    fc.assert(
      fc.property(fc.record({ partitions: topicPartitions, userData }), (each) => {
        expect(decodeAssignment(encodeAssignment(each))).toEqual(each);
      }),
    );
  });

  test('causes nothing but a ProtocolError', () => {
    const small = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 60 });
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), small);
    fc.assert(
      fc.property(bytes, fc.integer({ min: 0, max: 3 }), (content, version) => {
        const all = Buffer.from([0, version, ...content]);
        for (const read of [decodeSubscription, decodeAssignment]) {
          try {
            read(all);
          } catch (error) {
            if (!(error instanceof ProtocolError)) throw error;
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
