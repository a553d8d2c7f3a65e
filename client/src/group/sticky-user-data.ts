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
  const partitions: NamedPartition[] = [];
  let position = 0;
  const int32 = (): number => {
    position += INT32_BYTES;
    return bytes.readInt32BE(position - INT32_BYTES);
  };
  try {
    for (let topics = int32(); topics > 0; topics -= 1) {
      const end = position + INT16_BYTES + bytes.readInt16BE(position);
      const topic = bytes.toString('utf8', position + INT16_BYTES, end);
      position = end;
      for (let count = int32(); count > 0; count -= 1)
        partitions.push({ topic, partition: int32() });
    }
    const generation = int32();
    return position === bytes.length ? { partitions, generation } : undefined;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
