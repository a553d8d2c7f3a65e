import { describeClusterApi } from '@millrace/protocol';
import type { DescribeClusterRequest, DescribeClusterResponse } from '@millrace/protocol';
import { parseAddress } from '../config-option.js';
import { brokerVersion } from '../version.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Tells what the cluster is made of: this node, and how much it holds. */
export class DescribeClusterHandler implements Handler<
  DescribeClusterRequest,
  DescribeClusterResponse
> {
  readonly api = describeClusterApi;

  constructor(private readonly services: HandlerServices) {}

  handle(): Reply<DescribeClusterResponse> {
    const { about, config, groups, storage } = this.services;
    const { clusterId, nodeId } = storage;
    const { host, port } = parseAddress(config.advertisedListen) ?? { host: '', port: 0 };
    const { topics, partitions, offlinePartitions, logBytes } = storage.stats();
    return reply({
      clusterId,
      controllerId: nodeId,
      nodes: [{ nodeId, host, port, version: brokerVersion(), ...about }],
      ...{ topics, partitions, offlinePartitions, groups: groups.groupCount, logBytes },
    });
  }
}
