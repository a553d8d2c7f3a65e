import { alterTopicConfigsApi } from '@millrace/protocol';
import type {
  AlterTopicConfigsEntry,
  AlterTopicConfigsRequest,
  AlterTopicConfigsResponse,
  AlterTopicConfigsResult,
} from '@millrace/protocol';
import { largestBatchBytes } from '../config.js';
import { refuseInternalTopic } from '../topics/internal-topics.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { refuseRepeated } from './response-bounds.js';
import { rowFailure } from './row-error.js';
import { refuseUnsendable } from './sendable.js';
import type { HandlerServices } from './services.js';

/** Changes the configuration of topics in use, one after the other, each on its own. */
export class AlterTopicConfigsHandler implements Handler<
  AlterTopicConfigsRequest,
  AlterTopicConfigsResponse
> {
  readonly api = alterTopicConfigsApi;

  constructor(private readonly services: HandlerServices) {}

  async handle({
    topics,
    validateOnly,
  }: AlterTopicConfigsRequest): Promise<Reply<AlterTopicConfigsResponse>> {
    refuseRepeated(
      this.api.name,
      topics.map(({ name }) => name),
    );
    const results: AlterTopicConfigsResult[] = [];
    for (const entry of topics) results.push(await this.#alter(entry, validateOnly));
    return reply({ topics: results });
  }

  async #alter(
    { name, changes }: AlterTopicConfigsEntry,
    validateOnly: boolean,
  ): Promise<AlterTopicConfigsResult> {
    const { config: limits, logger, storage } = this.services;
    try {
      refuseInternalTopic(name, 'be altered');
      const values = changes.map(({ key, value }) => [key, value] as const);
      refuseUnsendable(values, largestBatchBytes(limits));
      await storage.topics.alterConfig(name, changes, validateOnly);
      if (!validateOnly) {
        logger.info({ topic: name, changes: Object.fromEntries(values) }, 'topic config altered');
      }
      return { name, errorCode: 0, errorMessage: null };
    } catch (error) {
      return { name, ...rowFailure(error, `altering the config of topic ${name}`, logger) };
    }
  }
}
