import type { Field } from '../header.js';
import { MAX_ENTRIES, MAX_PARTITIONS_PER_TOPIC } from '../limits.js';
import type { Api } from './api.js';
import { readErrorCode, readInt32 } from './common.js';
import { FieldReader } from './fields.js';

/** Which topics a client wants to know about. */
export interface MetadataRequest {
  /** Topic names; null = all topics. */
  readonly topics: readonly string[] | null;
}

/** A broker and where it listens. */
export interface MetadataNode {
  readonly nodeId: number;
  /** Empty = the address that the client dialled. */
  readonly host: string;
  readonly port: number;
}

/** Who leads a partition. */
export interface MetadataPartition {
  readonly partition: number;
  /** A node id; -1 = none. */
  readonly leader: number;
  /** -1 = not known. */
  readonly leaderEpoch: number;
}

/** A topic, or why there is none of that name. */
export interface MetadataTopic {
  /** A code of the error table; 0 = no error. */
  readonly errorCode: number;
  readonly name: string;
  /** `NO_TOPIC_ID` with an error. */
  readonly topicId: string;
  readonly partitions: readonly MetadataPartition[];
}

/** The cluster as a broker sees it. */
export interface MetadataResponse {
  readonly clusterId: string;
  readonly nodes: readonly MetadataNode[];
  readonly topics: readonly MetadataTopic[];
}

/**
 * Nodes, topics, and who leads which partition. Clients route by it.
 *
 * ```
 * request  => topics
 *   topics      [name string] | nil (all)
 * response => clusterId [node] [topic]
 *   clusterId   string
 *   node        [nodeId int32 ≥ 0, host string, port 0..65535]
 *   topic       [errorCode int16, name string, topicId, partitions]
 *   partitions  flat: [partition int32 ≥ 0, leader int32 ≥ -1, leaderEpoch int32 ≥ -1, …]
 * ```
 */
export const metadataApi: Api<MetadataRequest, MetadataResponse> = {
  apiKey: 3,
  name: 'metadata',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ topics }): Field[] {
    return [topics];
  },

  decodeRequest(fields): MetadataRequest {
    const reader = new FieldReader(fields, 'metadata');
    const topics = reader.nullableStrings('topics', MAX_ENTRIES);
    reader.end();
    return { topics };
  },

  encodeResponse({ clusterId, nodes, topics }): Field[] {
    return [
      clusterId,
      nodes.map(({ nodeId, host, port }) => [nodeId, host, port]),
      topics.map((topic) => [
        topic.errorCode,
        topic.name,
        topic.topicId,
        encodePartitions(topic.partitions),
      ]),
    ];
  },

  decodeResponse(fields): MetadataResponse {
    const reader = new FieldReader(fields, 'metadata response');
    const clusterId = reader.string('clusterId');
    const nodes = reader.rows('nodes', MAX_ENTRIES, (row) => ({
      nodeId: readInt32(row, 'nodeId', 0),
      host: row.string('host'),
      port: row.integer('port', 0, 65_535),
    }));
    const topics = reader.rows('topics', MAX_ENTRIES, decodeTopic);
    reader.end();
    return { clusterId, nodes, topics };
  },
};

function encodePartitions(partitions: readonly MetadataPartition[]): number[] {
  const flat: number[] = [];
  for (const { partition, leader, leaderEpoch } of partitions) {
    flat.push(partition, leader, leaderEpoch);
  }
  return flat;
}

function decodeTopic(row: FieldReader): MetadataTopic {
  return {
    errorCode: readErrorCode(row),
    name: row.string('name'),
    topicId: row.optionalTopicId('topicId'),
    partitions: row.flatRows('partitions', 3, MAX_PARTITIONS_PER_TOPIC, (flat) => ({
      partition: readInt32(flat, 'partition', 0),
      leader: readInt32(flat, 'leader', -1),
      leaderEpoch: readInt32(flat, 'leaderEpoch', -1),
    })),
  };
}
