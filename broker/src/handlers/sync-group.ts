import { syncGroupApi } from '@millrace/protocol';
import type { ByteChunks, SyncGroupRequest, SyncGroupResponse } from '@millrace/protocol';
import type { RequestContext } from './context.js';
import { waitWithConnection } from './group-wait.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Gives a member its assignment, once the leader of its group has sent those of all. */
export class SyncGroupHandler implements Handler<SyncGroupRequest, SyncGroupResponse> {
  readonly api = syncGroupApi;

  constructor(private readonly services: HandlerServices) {}

  async handle(
    request: SyncGroupRequest,
    _payload: ByteChunks,
    context: RequestContext,
  ): Promise<Reply<SyncGroupResponse> | undefined> {
    const { config, groups } = this.services;
    context.deadlineMs += config.maxRebalanceTimeoutMs;
    const response = await waitWithConnection(context.connection, (gone) =>
      groups.sync(request, gone),
    );
    return response === undefined ? undefined : reply(response);
  }
}
