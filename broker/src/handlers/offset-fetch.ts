import { offsetFetchApi } from '@millrace/protocol';
import type { OffsetFetchRequest, OffsetFetchResponse } from '@millrace/protocol';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Tells what a group has committed. */
export class OffsetFetchHandler implements Handler<OffsetFetchRequest, OffsetFetchResponse> {
  readonly api = offsetFetchApi;

  constructor(private readonly services: HandlerServices) {}

  handle(request: OffsetFetchRequest): Reply<OffsetFetchResponse> {
    return reply(this.services.groups.fetch(request));
  }
}
