import { InvalidArgumentError } from '../errors.js';
import { partitionOfKey } from './murmur2.js';

/** What a partitioner may go by. */
export interface PartitionerInput {
  readonly topic: string;
  readonly key: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
  readonly partitionCount: number;
}

/** Gives a partition from 0 to before `partitionCount`. */
export type Partitioner = (input: PartitionerInput) => number;

/**
 * The partition for keyless messages of one topic: one until its batch is sent, then the next
 * (KIP-480's sticky partitioner, in turn rather than at random so that partitions fill evenly).
 */
export class StickyPartition {
  #current: number;

  constructor(random = Math.random()) {
    this.#current = Math.floor(random * 0x1_0000);
  }

  current(partitionCount: number): number {
    return this.#current % partitionCount;
  }

  /** A batch of this partition is complete: the next message goes elsewhere. */
  advance(partition: number, partitionCount: number): void {
    if (this.#current % partitionCount === partition) this.#current += 1;
  }
}

/** @throws InvalidArgumentError when a custom partitioner gives what is no partition. */
export function choosePartition(
  partitioner: Partitioner | undefined,
  sticky: StickyPartition,
  input: PartitionerInput,
): number {
  const { key, partitionCount, topic } = input;
  if (partitioner === undefined) {
    return key === null ? sticky.current(partitionCount) : partitionOfKey(key, partitionCount);
  }
  const partition = partitioner(input);
  if (Number.isInteger(partition) && partition >= 0 && partition < partitionCount) return partition;
  throw new InvalidArgumentError(
    `The partitioner chose partition ${partition} of "${topic}", which has ${partitionCount}`,
    { topic },
  );
}
