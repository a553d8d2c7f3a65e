import { createPartitionsApi } from '@millrace/protocol';
import type {
  CreatePartitionsEntry,
  CreatePartitionsRequest,
  CreatePartitionsResponse,
  CreatePartitionsResult,
} from '@millrace/protocol';
import { refuseInternalTopic } from '../topics/internal-topics.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { refuseRepeated } from './response-bounds.js';
import { rowFailure } from './row-error.js';
import type { HandlerServices } from './services.js';

/** Gives topics more partitions, one topic after the other, each on its own. */
export class CreatePartitionsHandler implements Handler<
  CreatePartitionsRequest,
  CreatePartitionsResponse
> {
  readonly api = createPartitionsApi;

  constructor(private readonly services: HandlerServices) {}

  async handle({ topics }: CreatePartitionsRequest): Promise<Reply<CreatePartitionsResponse>> {
    refuseRepeated(
      this.api.name,
      topics.map(({ name }) => name),
    );
    const results: CreatePartitionsResult[] = [];
    for (const entry of topics) results.push(await this.#grow(entry));
    return reply({ topics: results });
  }

  async #grow({ name, partitions }: CreatePartitionsEntry): Promise<CreatePartitionsResult> {
    const { logger, storage } = this.services;
    try {
      refuseInternalTopic(name, 'be given partitions');
      await storage.topics.addPartitions(name, partitions);
      logger.info({ topic: name, partitions }, 'partitions added');
      return { name, errorCode: 0, errorMessage: null, partitions };
    } catch (error) {
      const failure = rowFailure(error, `adding partitions to topic ${name}`, logger);
      return { name, ...failure, partitions: 0 };
    }
  }
}
