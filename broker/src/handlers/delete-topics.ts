import { deleteTopicsApi } from '@millrace/protocol';
import type {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
  DeleteTopicsResult,
} from '@millrace/protocol';
import { refuseInternalTopic } from '../topics/internal-topics.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { rowFailure } from './row-error.js';
import type { HandlerServices } from './services.js';

/** Deletes topics one after the other, each on its own. */
export class DeleteTopicsHandler implements Handler<DeleteTopicsRequest, DeleteTopicsResponse> {
  readonly api = deleteTopicsApi;

  constructor(private readonly services: HandlerServices) {}

  async handle({ names }: DeleteTopicsRequest): Promise<Reply<DeleteTopicsResponse>> {
    const results: DeleteTopicsResult[] = [];
    for (const name of names) results.push(await this.#delete(name));
    return reply({ topics: results });
  }

  async #delete(name: string): Promise<DeleteTopicsResult> {
    const { logger, storage } = this.services;
    try {
      refuseInternalTopic(name, 'be deleted');
      await storage.topics.delete(name);
      logger.info({ topic: name }, 'topic deleted');
      return { name, errorCode: 0, errorMessage: null };
    } catch (error) {
      return { name, ...rowFailure(error, `deleting topic ${name}`, logger) };
    }
  }
}
