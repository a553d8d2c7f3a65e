import { offsetFetchApi } from '@millrace/protocol';
import type { OffsetFetchRequest, OffsetFetchResponse } from '@millrace/protocol';
import { refuseLargeOffsets } from './group-bounds.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Tells what a group has committed. */
export class OffsetFetchHandler implements Handler<OffsetFetchRequest, OffsetFetchResponse> {
  readonly api = offsetFetchApi;

  constructor(private readonly services: HandlerServices) {}

  handle(request: OffsetFetchRequest): Reply<OffsetFetchResponse> {
    const response = this.services.groups.fetch(request);
    refuseLargeOffsets(this.api.name, request.groupId, response.entries);
    return reply(response);
  }
}
