import { deleteRecordsApi } from '@millrace/protocol';
import type {
  DeleteRecordsEntry,
  DeleteRecordsRequest,
  DeleteRecordsResponse,
  DeleteRecordsResult,
} from '@millrace/protocol';
import { forEachConcurrently } from '../topics/concurrently.js';
import { refuseInternalTopic } from '../topics/internal-topics.js';
import { findPartition } from './find-partition.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { refuseRepeated } from './response-bounds.js';
import { rowFailure } from './row-error.js';
import type { HandlerServices } from './services.js';

/** Partitions at a time: each waits for syncs of its own checkpoint, which the disk does together. */
const CONCURRENCY = 16;

/** Deletes what partitions hold below an offset, each on its own. */
export class DeleteRecordsHandler implements Handler<DeleteRecordsRequest, DeleteRecordsResponse> {
  readonly api = deleteRecordsApi;

  constructor(private readonly services: HandlerServices) {}

  async handle({ entries }: DeleteRecordsRequest): Promise<Reply<DeleteRecordsResponse>> {
    const keys = entries.map(({ topicId, partition }) => `${topicId}-${partition}`);
    refuseRepeated(this.api.name, keys, 'partition');
    const results: DeleteRecordsResult[] = [];
    await forEachConcurrently([...entries.entries()], CONCURRENCY, async ([i, entry]) => {
      results[i] = await this.#delete(entry);
    });
    return reply({ entries: results });
  }

  async #delete(entry: DeleteRecordsEntry): Promise<DeleteRecordsResult> {
    const { logger, storage } = this.services;
    const { topicId, partition: index, offset } = entry;
    const row = { topicId, partition: index };
    try {
      const partition = findPartition(storage.topics, entry);
      refuseInternalTopic(partition.topicName, 'have records deleted');
      const logStartOffset = await partition.deleteRecords(offset);
      logger.info({ partition: partition.name, logStartOffset }, 'records deleted');
      return { ...row, errorCode: 0, errorMessage: null, logStartOffset };
    } catch (error) {
      const failure = rowFailure(error, `deleting records of ${index} of ${topicId}`, logger);
      return { ...row, ...failure, logStartOffset: -1 };
    }
  }
}
