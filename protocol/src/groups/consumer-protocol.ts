import {
  MAX_GROUP_METADATA_BYTES,
  MAX_PARTITIONS_PER_TOPIC,
  MAX_STRING_LENGTH,
  MAX_SUBSCRIBED_TOPICS,
  MAX_TOPIC_NAME_LENGTH,
} from '../limits.js';
import { BinaryReader, BinaryWriter } from './binary.js';

/*
 * What the members of a group with protocol type `consumer` tell each other through a broker that
 * does not look into it: Kafka's own format, so that members of both kinds understand each other
 * (`ConsumerProtocolSubscription.json` and `ConsumerProtocolAssignment.json` in Kafka's sources).
 *
 *   subscription => version int16 · topics [string] · userData nullable bytes
 *                   from version 1: · owned [topic string · partitions [int32]]
 *                   from version 2: · generation int32       (KIP-792)
 *                   from version 3: · rackId nullable string (KIP-881)
 *   assignment   => version int16 · partitions [topic string · partitions [int32]]
 *                   · userData nullable bytes                (the same in versions 0 to 3)
 *
 * Version 3 is written, 0 to 3 are read.
 */

/** The protocol type of groups whose members are consumers. */
export const CONSUMER_PROTOCOL_TYPE = 'consumer';

const WRITTEN_VERSION = 3;
/** The int16 that a topic's name starts with, and the int32 before its partitions. */
const MIN_NAME_BYTES = 2;
const MIN_TOPIC_BYTES = MIN_NAME_BYTES + 4;
const PARTITION_BYTES = 4;

/** Partitions of one topic. */
export interface TopicPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

/** What a member wants to consume, and what it has. */
export interface ConsumerSubscription {
  readonly topics: readonly string[];
  /** Of the assignor; null = none. */
  readonly userData: Buffer | null;
  /** What the member consumes while it joins; empty before version 1. */
  readonly owned: readonly TopicPartitions[];
  /** The generation in which it was given `owned`; -1 = none, or not known before version 2. */
  readonly generation: number;
  /** Where the member runs; null = not said, or before version 3. */
  readonly rackId: string | null;
}

/** What a member is to consume. */
export interface ConsumerAssignment {
  readonly partitions: readonly TopicPartitions[];
  /** Of the assignor; null = none. */
  readonly userData: Buffer | null;
}

/** @throws ProtocolError `INVALID_REQUEST` for what {@link decodeSubscription} would refuse. */
export function encodeSubscription(subscription: ConsumerSubscription): Buffer {
  const writer = new BinaryWriter('A subscription');
  writer.int16(WRITTEN_VERSION);
  writer.array('topics', subscription.topics, MAX_SUBSCRIBED_TOPICS, (topic) => {
    writer.string('a topic', topic, MAX_TOPIC_NAME_LENGTH);
  });
  writer.nullableBytes('userData', subscription.userData);
  writeTopicPartitions(writer, 'owned', subscription.owned);
  writer.int32('generation', subscription.generation, -1);
  writer.string('rackId', subscription.rackId, MAX_STRING_LENGTH);
  return writer.finish(MAX_GROUP_METADATA_BYTES);
}

/**
 * Reads the `metadata` of a member of a consumer group. `userData` shares its memory.
 *
 * @throws ProtocolError `INVALID_REQUEST` that says what is wrong with the bytes.
 */
export function decodeSubscription(bytes: Buffer): ConsumerSubscription {
  const reader = new BinaryReader(bytes, 'A subscription');
  const version = readVersion(reader, bytes);
  const topics = reader.array('topics', MAX_SUBSCRIBED_TOPICS, MIN_NAME_BYTES, () =>
    reader.string('a topic', MAX_TOPIC_NAME_LENGTH),
  );
  const userData = reader.nullableBytes('userData');
  const owned = version >= 1 ? readTopicPartitions(reader, 'owned') : [];
  const generation = version >= 2 ? reader.int32('generation', -1) : -1;
  const rackId = version >= 3 ? reader.nullableString('rackId', MAX_STRING_LENGTH) : null;
  reader.end();
  return { topics, userData, owned, generation, rackId };
}

/** @throws ProtocolError `INVALID_REQUEST` for what {@link decodeAssignment} would refuse. */
export function encodeAssignment({ partitions, userData }: ConsumerAssignment): Buffer {
  const writer = new BinaryWriter('An assignment');
  writer.int16(WRITTEN_VERSION);
  writeTopicPartitions(writer, 'partitions', partitions);
  writer.nullableBytes('userData', userData);
  return writer.finish(MAX_GROUP_METADATA_BYTES);
}

/**
 * Reads the `assignment` of a member of a consumer group. `userData` shares its memory. Bytes of
 * length 0 are no assignment: that is what a broker sends for a member that was given none.
 *
 * @throws ProtocolError `INVALID_REQUEST` that says what is wrong with the bytes.
 */
export function decodeAssignment(bytes: Buffer): ConsumerAssignment {
  const reader = new BinaryReader(bytes, 'An assignment');
  readVersion(reader, bytes);
  const partitions = readTopicPartitions(reader, 'partitions');
  const userData = reader.nullableBytes('userData');
  reader.end();
  return { partitions, userData };
}

function readVersion(reader: BinaryReader, bytes: Buffer): number {
  if (bytes.length > MAX_GROUP_METADATA_BYTES) {
    throw reader.fail(`it may have ${MAX_GROUP_METADATA_BYTES} bytes`);
  }
  const version = reader.int16('version');
  if (version >= 0 && version <= WRITTEN_VERSION) return version;
  throw reader.fail(`its version is ${version}; 0 to ${WRITTEN_VERSION} can be read`);
}

function writeTopicPartitions(
  writer: BinaryWriter,
  name: string,
  list: readonly TopicPartitions[],
): void {
  writer.array(name, list, MAX_SUBSCRIBED_TOPICS, ({ topic, partitions }) => {
    writer.string('a topic', topic, MAX_TOPIC_NAME_LENGTH);
    writer.array(`partitions of ${topic}`, partitions, MAX_PARTITIONS_PER_TOPIC, (partition) => {
      writer.int32('a partition', partition, 0);
    });
  });
}

function readTopicPartitions(reader: BinaryReader, name: string): TopicPartitions[] {
  return reader.array(name, MAX_SUBSCRIBED_TOPICS, MIN_TOPIC_BYTES, () => {
    const topic = reader.string('a topic', MAX_TOPIC_NAME_LENGTH);
    const of = `partitions of ${topic}`;
    const partitions = reader.array(of, MAX_PARTITIONS_PER_TOPIC, PARTITION_BYTES, () =>
      reader.int32('a partition', 0),
    );
    return { topic, partitions };
  });
}
