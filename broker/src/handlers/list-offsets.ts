import { BEGINNING_TIMESTAMP, END_TIMESTAMP, listOffsetsApi } from '@millrace/protocol';
import type {
  ListOffsetsEntry,
  ListOffsetsRequest,
  ListOffsetsResponse,
  ListOffsetsResult,
} from '@millrace/protocol';
import type { Partition } from '../topics/partition.js';
import { findPartition } from './find-partition.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { rowFailure } from './row-error.js';
import type { HandlerServices } from './services.js';

interface Found {
  readonly offset: number;
  readonly timestampMs: number;
}

/** Finds offsets: the beginning, the end, or the first record at or after a time. */
export class ListOffsetsHandler implements Handler<ListOffsetsRequest, ListOffsetsResponse> {
  readonly api = listOffsetsApi;

  constructor(private readonly services: HandlerServices) {}

  async handle({ entries }: ListOffsetsRequest): Promise<Reply<ListOffsetsResponse>> {
    const results: ListOffsetsResult[] = [];
    // One after the other: a lookup by time reads from the disk.
    for (const entry of entries) results.push(await this.#find(entry));
    return reply({ entries: results });
  }

  async #find(entry: ListOffsetsEntry): Promise<ListOffsetsResult> {
    const { logger, storage } = this.services;
    const { topicId, partition: index, timestampMs: wanted } = entry;
    const row = { topicId, partition: index };
    try {
      const partition = findPartition(storage.topics, entry);
      const { offset, timestampMs } = await find(partition, wanted);
      const { leaderEpoch } = partition;
      return { ...row, errorCode: 0, errorMessage: null, offset, timestampMs, leaderEpoch };
    } catch (error) {
      const failure = rowFailure(error, `finding an offset in ${index} of ${topicId}`, logger);
      return { ...row, ...failure, offset: -1, timestampMs: -1, leaderEpoch: -1 };
    }
  }
}

async function find(partition: Partition, wanted: number): Promise<Found> {
  // The end is what consumers can see: with `visibility: durable` the log end is beyond it.
  if (wanted === END_TIMESTAMP) return { offset: partition.highWatermark, timestampMs: -1 };
  if (wanted === BEGINNING_TIMESTAMP) return { offset: partition.startOffset, timestampMs: -1 };
  return (await partition.offsetForTimestamp(wanted)) ?? { offset: -1, timestampMs: -1 };
}
