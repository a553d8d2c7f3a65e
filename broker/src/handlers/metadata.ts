import { errorTable, metadataApi, NO_TOPIC_ID } from '@millrace/protocol';
import type { MetadataRequest, MetadataResponse, MetadataTopic } from '@millrace/protocol';
import { parseAddress } from '../config-option.js';
import type { Topic } from '../topics/topic-registry.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { refuseRepeated, refuseTooLarge } from './response-bounds.js';
import type { HandlerServices } from './services.js';

/** Values in a response: of a topic, and of a partition. */
const VALUES = { perTopic: 5, perPartition: 3 } as const;

/** Tells which topics there are and who leads their partitions: this node, all of them. */
export class MetadataHandler implements Handler<MetadataRequest, MetadataResponse> {
  readonly api = metadataApi;

  constructor(private readonly services: HandlerServices) {}

  handle({ topics: names }: MetadataRequest): Reply<MetadataResponse> {
    const { config, storage } = this.services;
    const { clusterId, nodeId, topics } = storage;
    // Without an advertised address the client goes on with the one that it dialled.
    const { host, port } = parseAddress(config.advertisedListen) ?? { host: '', port: 0 };
    if (names !== null) refuseRepeated(this.api.name, names);
    const wanted = names?.map((name) => topics.byName(name)) ?? topics.list();
    refuseTooLarge(this.api.name, wanted, VALUES);
    const rows = wanted.map((topic, index) => describe(topic, nodeId, names?.[index]));
    return reply({ clusterId, nodes: [{ nodeId, host, port }], topics: rows });
  }
}

function describe(topic: Topic | undefined, nodeId: number, name = ''): MetadataTopic {
  if (topic === undefined) {
    const errorCode = errorTable.UNKNOWN_TOPIC_OR_PARTITION.code;
    return { errorCode, name, topicId: NO_TOPIC_ID, partitions: [] };
  }
  const partitions = topic.partitions.map(({ index, leaderEpoch }) => ({
    partition: index,
    leader: nodeId,
    leaderEpoch,
  }));
  return { errorCode: 0, name: topic.name, topicId: topic.id, partitions };
}
