import {
  BinaryReader,
  MAX_PARTITIONS_PER_TOPIC,
  MAX_SUBSCRIBED_TOPICS,
  MAX_TOPIC_NAME_LENGTH,
  ProtocolError,
} from '@millrace/protocol';
import type { NamedPartition } from './assignors/index.js';
import { byTopic } from './partitions.js';

/*
 * What a member tells the `sticky` assignor of the assignment it had. It gave everything up before
 * it joined, so the subscription's `owned` says nothing. Kafka's format (`StickyAssignor`, version
 * 1 of its user data), so that members of both kinds can share a group:
 *
 *   userData => count int32 · [topic string · count int32 · [partition int32]] · generation int32
 */

const INT16_BYTES = 2;
const INT32_BYTES = 4;
/** A name's length and a count. */
const MIN_TOPIC_BYTES = INT16_BYTES + INT32_BYTES;

/** The assignment that a member had, and when. */
export interface PreviousAssignment {
  readonly partitions: readonly NamedPartition[];
  readonly generation: number;
}

export function encodePreviousAssignment({ partitions, generation }: PreviousAssignment): Buffer {
  const int32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(INT32_BYTES);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const topics = byTopic(partitions);
  const parts = [int32(topics.length)];
  for (const { topic, partitions: numbers } of topics) {
    const name = Buffer.from(topic);
    const length = Buffer.alloc(INT16_BYTES);
    length.writeInt16BE(name.length);
    parts.push(length, name, int32(numbers.length), ...numbers.map(int32));
  }
  parts.push(int32(generation));
  return Buffer.concat(parts);
}

/** Undefined for bytes that are none: other assignors have user data of their own. */
export function decodePreviousAssignment(bytes: Buffer): PreviousAssignment | undefined {
  const reader = new BinaryReader(bytes, 'A previous assignment');
  const topic = (): readonly NamedPartition[] => {
    const name = reader.string('a topic', MAX_TOPIC_NAME_LENGTH);
    return reader.array('partitions', MAX_PARTITIONS_PER_TOPIC, INT32_BYTES, () => ({
      topic: name,
      partition: reader.int32('a partition', 0),
    }));
  };
  try {
    const topics = reader.array('topics', MAX_SUBSCRIBED_TOPICS, MIN_TOPIC_BYTES, topic);
    const generation = reader.int32('generation', -1);
    reader.end();
    return { partitions: topics.flat(), generation };
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}
