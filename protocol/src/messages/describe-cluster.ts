import type { Field } from '../header.js';
import { MAX_ENTRIES } from '../limits.js';
import type { Api } from './api.js';
import { readInt32, readSafe } from './common.js';
import { FieldReader } from './fields.js';
import type { MetadataNode } from './metadata.js';

/** Asks about the whole cluster. */
export type DescribeClusterRequest = Readonly<Record<string, never>>;

/** A broker, where it listens and how it works. */
export interface DescribedNode extends MetadataNode {
  /** The release it runs. */
  readonly version: string;
  /** Its strategies, and the mode that chose them, as in its configuration. */
  readonly mode: string;
  readonly persist: string;
  readonly serve: string;
  /** Unix time in ms. */
  readonly startedAtMs: number;
}

/** The cluster in numbers. */
export interface DescribeClusterResponse {
  readonly clusterId: string;
  /** A node id; -1 = none. */
  readonly controllerId: number;
  readonly nodes: readonly DescribedNode[];
  /** How many there are. */
  readonly topics: number;
  readonly partitions: number;
  /** How many of `partitions` cannot be used. */
  readonly offlinePartitions: number;
  readonly groups: number;
  /** Bytes of record batches in all partitions. */
  readonly logBytes: number;
}

/**
 * Describes the cluster, for people.
 *
 * ```
 * request  => nothing
 * response => clusterId controllerId [node] topics partitions offlinePartitions groups logBytes
 *   clusterId                                     string
 *   controllerId                                  int32 ≥ -1
 *   node                                          [nodeId int32 ≥ 0, host string, port 0..65535,
 *                                                  version string, mode string, persist string,
 *                                                  serve string, startedAtMs int ≥ 0]
 *   topics, partitions, offlinePartitions, groups int32 ≥ 0
 *   logBytes                                      int ≥ 0
 * ```
 */
export const describeClusterApi: Api<DescribeClusterRequest, DescribeClusterResponse> = {
  apiKey: 60,
  name: 'describeCluster',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest(): Field[] {
    return [];
  },

  decodeRequest(fields): DescribeClusterRequest {
    new FieldReader(fields, 'describeCluster').end();
    return {};
  },

  encodeResponse(response): Field[] {
    const { clusterId, controllerId, topics, partitions, offlinePartitions } = response;
    return [
      clusterId,
      controllerId,
      response.nodes.map((node) => [
        ...[node.nodeId, node.host, node.port, node.version],
        ...[node.mode, node.persist, node.serve, node.startedAtMs],
      ]),
      ...[topics, partitions, offlinePartitions, response.groups, response.logBytes],
    ];
  },

  decodeResponse(fields): DescribeClusterResponse {
    const reader = new FieldReader(fields, 'describeCluster response');
    const response = {
      clusterId: reader.string('clusterId'),
      controllerId: readInt32(reader, 'controllerId', -1),
      nodes: reader.rows('nodes', MAX_ENTRIES, decodeNode),
      topics: readInt32(reader, 'topics', 0),
      partitions: readInt32(reader, 'partitions', 0),
      offlinePartitions: readInt32(reader, 'offlinePartitions', 0),
      groups: readInt32(reader, 'groups', 0),
      logBytes: readSafe(reader, 'logBytes', 0),
    };
    reader.end();
    return response;
  },
};

function decodeNode(row: FieldReader): DescribedNode {
  return {
    nodeId: readInt32(row, 'nodeId', 0),
    host: row.string('host'),
    port: row.integer('port', 0, 65_535),
    version: row.string('version'),
    mode: row.string('mode'),
    persist: row.string('persist'),
    serve: row.string('serve'),
    startedAtMs: readSafe(row, 'startedAtMs', 0),
  };
}
