import { offsetCommitApi } from '@millrace/protocol';
import type { OffsetCommitRequest, OffsetCommitResponse } from '@millrace/protocol';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Commits offsets: answered when they are as durable as `acks=all`. */
export class OffsetCommitHandler implements Handler<OffsetCommitRequest, OffsetCommitResponse> {
  readonly api = offsetCommitApi;

  constructor(private readonly services: HandlerServices) {}

  async handle(request: OffsetCommitRequest): Promise<Reply<OffsetCommitResponse>> {
    const response = await this.services.groups.commit(request);
    this.services.counters.countCommit(response.entries);
    return reply(response);
  }
}
