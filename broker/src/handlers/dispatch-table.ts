import { AlterTopicConfigsHandler } from './alter-topic-configs.js';
import { ApiVersionsHandler } from './api-versions.js';
import { CreatePartitionsHandler } from './create-partitions.js';
import { CreateTopicsHandler } from './create-topics.js';
import { DeleteGroupsHandler } from './delete-groups.js';
import { DeleteRecordsHandler } from './delete-records.js';
import { DeleteTopicsHandler } from './delete-topics.js';
import { DescribeClusterHandler } from './describe-cluster.js';
import { DescribeGroupsHandler } from './describe-groups.js';
import { DescribeTopicsHandler } from './describe-topics.js';
import { FetchHandler } from './fetch.js';
import { FindCoordinatorHandler } from './find-coordinator.js';
import type { AnyHandler } from './handler.js';
import { HeartbeatHandler } from './heartbeat.js';
import { InitProducerIdHandler } from './init-producer-id.js';
import { JoinGroupHandler } from './join-group.js';
import { LeaveGroupHandler } from './leave-group.js';
import { ListGroupsHandler } from './list-groups.js';
import { ListOffsetsHandler } from './list-offsets.js';
import { MetadataHandler } from './metadata.js';
import { OffsetCommitHandler } from './offset-commit.js';
import { OffsetDeleteHandler } from './offset-delete.js';
import { OffsetFetchHandler } from './offset-fetch.js';
import { ProduceHandler } from './produce.js';
import type { HandlerServices } from './services.js';
import { SyncGroupHandler } from './sync-group.js';

/** One handler for each API that the broker serves. */
export function createHandlers(services: HandlerServices): readonly AnyHandler[] {
  const handlers = [
    new ProduceHandler(services),
    new FetchHandler(services),
    new ListOffsetsHandler(services),
    new MetadataHandler(services),
    new CreateTopicsHandler(services),
    new DeleteTopicsHandler(services),
    new InitProducerIdHandler(services),
    new DescribeTopicsHandler(services),
    new AlterTopicConfigsHandler(services),
    new CreatePartitionsHandler(services),
    new DeleteRecordsHandler(services),
    new DescribeClusterHandler(services),
    new OffsetCommitHandler(services),
    new OffsetFetchHandler(services),
    new FindCoordinatorHandler(services),
    new JoinGroupHandler(services),
    new HeartbeatHandler(services),
    new LeaveGroupHandler(services),
    new SyncGroupHandler(services),
    new DescribeGroupsHandler(services),
    new ListGroupsHandler(services),
    new DeleteGroupsHandler(services),
    new OffsetDeleteHandler(services),
  ] as const;
  const apiVersions = new ApiVersionsHandler(
    services,
    handlers.map(({ api }) => api),
  );
  return [...handlers, apiVersions] as readonly AnyHandler[];
}
