import { createTopicsApi, NO_TOPIC_ID } from '@millrace/protocol';
import type {
  CreateTopicsEntry,
  CreateTopicsRequest,
  CreateTopicsResponse,
  CreateTopicsResult,
} from '@millrace/protocol';
import { largestBatchBytes } from '../config.js';
import { refuseReservedName } from '../topics/internal-topics.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { rowFailure } from './row-error.js';
import { refuseUnsendable } from './sendable.js';
import type { HandlerServices } from './services.js';

/** Creates topics one after the other, each on its own: one may fail while the next succeeds. */
export class CreateTopicsHandler implements Handler<CreateTopicsRequest, CreateTopicsResponse> {
  readonly api = createTopicsApi;

  constructor(private readonly services: HandlerServices) {}

  async handle({ topics }: CreateTopicsRequest): Promise<Reply<CreateTopicsResponse>> {
    const results: CreateTopicsResult[] = [];
    for (const entry of topics) results.push(await this.#create(entry));
    return reply({ topics: results });
  }

  async #create({ name, partitions, config }: CreateTopicsEntry): Promise<CreateTopicsResult> {
    const { config: limits, logger, storage } = this.services;
    try {
      refuseReservedName(name);
      refuseUnsendable(config, largestBatchBytes(limits));
      const spec = { name, partitions, config: Object.fromEntries(config) };
      const topic = await storage.topics.create(spec);
      logger.info({ topic: name, id: topic.id, partitions }, 'topic created');
      return { name, errorCode: 0, errorMessage: null, topicId: topic.id, partitions };
    } catch (error) {
      const failure = rowFailure(error, `creating topic ${name}`, logger);
      return { name, ...failure, topicId: NO_TOPIC_ID, partitions: 0 };
    }
  }
}
