import { joinGroupApi } from '@millrace/protocol';
import type { ByteChunks, JoinGroupRequest, JoinGroupResponse } from '@millrace/protocol';
import type { RequestContext } from './context.js';
import { hostOf, waitWithConnection } from './group-wait.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { refuseLargeMembers } from './group-bounds.js';
import type { HandlerServices } from './services.js';

/** Lets a member into its group: answered when the rebalance that this begins is over. */
export class JoinGroupHandler implements Handler<JoinGroupRequest, JoinGroupResponse> {
  readonly api = joinGroupApi;

  constructor(private readonly services: HandlerServices) {}

  async handle(
    request: JoinGroupRequest,
    _payload: ByteChunks,
    context: RequestContext,
  ): Promise<Reply<JoinGroupResponse> | undefined> {
    const { config, groups } = this.services;
    const { connection } = context;
    // The coordinator keeps to the group's own rebalance timeout; the time of a request comes on top.
    context.deadlineMs += config.maxRebalanceTimeoutMs + config.groupInitialRebalanceDelayMs;
    const client = { clientId: request.clientId, host: hostOf(connection.remoteAddress) };
    const response = await waitWithConnection(connection, (gone) =>
      groups.join(request, client, gone),
    );
    if (response === undefined) return undefined;
    refuseLargeMembers(this.api.name, [response]);
    return reply(response);
  }
}
