import { findCoordinatorApi } from '@millrace/protocol';
import type { FindCoordinatorResponse } from '@millrace/protocol';
import { parseAddress } from '../config-option.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Tells which node coordinates a group: this one, every group. */
export class FindCoordinatorHandler implements Handler<unknown, FindCoordinatorResponse> {
  readonly api = findCoordinatorApi;

  constructor(private readonly services: HandlerServices) {}

  handle(): Reply<FindCoordinatorResponse> {
    const { config, storage } = this.services;
    // As metadata does: without an advertised address the client goes on with the one it dialled.
    const { host, port } = parseAddress(config.advertisedListen) ?? { host: '', port: 0 };
    return reply({ nodeId: storage.nodeId, host, port });
  }
}
