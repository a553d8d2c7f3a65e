import { deleteGroupsApi } from '@millrace/protocol';
import type { DeleteGroupsRequest, DeleteGroupsResponse } from '@millrace/protocol';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { refuseRepeated } from './response-bounds.js';
import type { HandlerServices } from './services.js';

/** Deletes groups with their offsets, each on its own. */
export class DeleteGroupsHandler implements Handler<DeleteGroupsRequest, DeleteGroupsResponse> {
  readonly api = deleteGroupsApi;

  constructor(private readonly services: HandlerServices) {}

  async handle(request: DeleteGroupsRequest): Promise<Reply<DeleteGroupsResponse>> {
    refuseRepeated(this.api.name, request.groupIds, 'group');
    return reply(await this.services.groups.delete(request));
  }
}
