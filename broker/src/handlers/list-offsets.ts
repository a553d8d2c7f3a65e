import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  BEGINNING_TIMESTAMP,
  END_TIMESTAMP,
  listOffsetsApi,
  ProtocolError,
} from '@millrace/protocol';
import type {
  ByteChunks,
  ListOffsetsEntry,
  ListOffsetsRequest,
  ListOffsetsResponse,
  ListOffsetsResult,
} from '@millrace/protocol';
import type { Partition } from '../topics/partition.js';
import type { RequestContext } from './context.js';
import { findPartition } from './find-partition.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { rowFailure } from './row-error.js';
import type { HandlerServices } from './services.js';

interface Found {
  readonly offset: number;
  readonly timestampMs: number;
}

/**
 * Finds offsets: the beginning, the end, or the first record at or after a time. A lookup by time may
 * read and decompress a batch, so a request has at most one for each partition, others get their turn
 * between two, and they stop when the request has timed out.
 */
export class ListOffsetsHandler implements Handler<ListOffsetsRequest, ListOffsetsResponse> {
  readonly api = listOffsetsApi;

  constructor(private readonly services: HandlerServices) {}

  async handle(
    { entries }: ListOffsetsRequest,
    _payload: ByteChunks,
    context: RequestContext,
  ): Promise<Reply<ListOffsetsResponse>> {
    refuseRepeated(entries);
    const results: ListOffsetsResult[] = [];
    let lookups = 0;
    for (const entry of entries) {
      if (entry.timestampMs >= 0) {
        if (lookups > 0) await nextTurn();
        lookups += 1;
        if (performance.now() > context.deadlineMs) throw timedOut(results.length, entries.length);
      }
      results.push(await this.#find(entry));
    }
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
  // A log that could not be opened has no offsets; one that only fails to sync still has.
  if (partition.log === undefined) throw partition.problem ?? notOpen(partition);
  // The end is what consumers can see: with `visibility: durable` the log end is beyond it.
  if (wanted === END_TIMESTAMP) return { offset: partition.highWatermark, timestampMs: -1 };
  if (wanted === BEGINNING_TIMESTAMP) return { offset: partition.startOffset, timestampMs: -1 };
  return (await partition.offsetForTimestamp(wanted)) ?? { offset: -1, timestampMs: -1 };
}

/** @throws ProtocolError INVALID_REQUEST when a partition has two rows that ask for the same. */
function refuseRepeated(entries: readonly ListOffsetsEntry[]): void {
  const seen = new Set<string>();
  for (const { topicId, partition, timestampMs } of entries) {
    const kind = timestampMs >= 0 ? 'time' : timestampMs;
    const key = `${topicId} ${partition} ${kind}`;
    if (seen.has(key)) {
      const twice = kind === 'time' ? 'more than one time' : `timestamp ${kind} more than once`;
      throw new ProtocolError(
        'INVALID_REQUEST',
        `listOffsets: partition ${partition} of ${topicId} is asked for ${twice}; ` +
          'send one request for each',
      );
    }
    seen.add(key);
  }
}

function timedOut(done: number, all: number): ProtocolError {
  return new ProtocolError(
    'REQUEST_TIMED_OUT',
    `listOffsets: only ${done} of ${all} rows were done in time; ask for fewer at a time`,
  );
}

function notOpen({ name }: Partition): ProtocolError {
  return new ProtocolError('PARTITION_OFFLINE', `${name} is not open`);
}
