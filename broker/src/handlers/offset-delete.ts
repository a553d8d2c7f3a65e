import { offsetDeleteApi } from '@millrace/protocol';
import type { OffsetDeleteRequest, OffsetDeleteResponse } from '@millrace/protocol';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Removes single offsets of a group. */
export class OffsetDeleteHandler implements Handler<OffsetDeleteRequest, OffsetDeleteResponse> {
  readonly api = offsetDeleteApi;

  constructor(private readonly services: HandlerServices) {}

  async handle(request: OffsetDeleteRequest): Promise<Reply<OffsetDeleteResponse>> {
    return reply(await this.services.groups.deleteOffsets(request));
  }
}
