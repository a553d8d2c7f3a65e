import { describeGroupsApi } from '@millrace/protocol';
import type { DescribeGroupsRequest, DescribeGroupsResponse } from '@millrace/protocol';
import { refuseLargeMembers } from './group-bounds.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { refuseRepeated } from './response-bounds.js';
import type { HandlerServices } from './services.js';

/** Tells everything about groups but their offsets: state, members, what each of them has. */
export class DescribeGroupsHandler implements Handler<
  DescribeGroupsRequest,
  DescribeGroupsResponse
> {
  readonly api = describeGroupsApi;

  constructor(private readonly services: HandlerServices) {}

  handle(request: DescribeGroupsRequest): Reply<DescribeGroupsResponse> {
    refuseRepeated(this.api.name, request.groupIds, 'group');
    const response = this.services.groups.describe(request);
    refuseLargeMembers(this.api.name, response.groups);
    return reply(response);
  }
}
