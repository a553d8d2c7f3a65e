import { listGroupsApi } from '@millrace/protocol';
import type { ListGroupsRequest, ListGroupsResponse } from '@millrace/protocol';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Tells which groups there are, a page at a time. */
export class ListGroupsHandler implements Handler<ListGroupsRequest, ListGroupsResponse> {
  readonly api = listGroupsApi;

  constructor(private readonly services: HandlerServices) {}

  handle(request: ListGroupsRequest): Reply<ListGroupsResponse> {
    return reply(this.services.groups.list(request));
  }
}
