import { heartbeatApi } from '@millrace/protocol';
import type { HeartbeatRequest, HeartbeatResponse } from '@millrace/protocol';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Hears that a member is alive; the error of a refusal is that of the whole answer. */
export class HeartbeatHandler implements Handler<HeartbeatRequest, HeartbeatResponse> {
  readonly api = heartbeatApi;

  constructor(private readonly services: HandlerServices) {}

  handle(request: HeartbeatRequest): Reply<HeartbeatResponse> {
    this.services.groups.heartbeat(request);
    return reply({});
  }
}
