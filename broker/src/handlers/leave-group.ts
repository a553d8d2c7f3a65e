import { leaveGroupApi } from '@millrace/protocol';
import type { LeaveGroupRequest, LeaveGroupResponse } from '@millrace/protocol';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Takes members out of their group, so that the others take over at once. */
export class LeaveGroupHandler implements Handler<LeaveGroupRequest, LeaveGroupResponse> {
  readonly api = leaveGroupApi;

  constructor(private readonly services: HandlerServices) {}

  async handle(request: LeaveGroupRequest): Promise<Reply<LeaveGroupResponse>> {
    const { groups } = this.services;
    const response = groups.leave(request);
    await groups.emptied(request.groupId);
    return reply(response);
  }
}
