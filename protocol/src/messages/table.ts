import { ProtocolError } from '../errors.js';
import type { FrameHead } from '../header.js';
import { alterTopicConfigsApi } from './alter-topic-configs.js';
import { unsupportedVersion } from './api.js';
import type { Api, ApiVersionRange } from './api.js';
import { apiVersionsApi } from './api-versions.js';
import { createPartitionsApi } from './create-partitions.js';
import { createTopicsApi } from './create-topics.js';
import { deleteGroupsApi } from './delete-groups.js';
import { deleteRecordsApi } from './delete-records.js';
import { deleteTopicsApi } from './delete-topics.js';
import { describeClusterApi } from './describe-cluster.js';
import { describeGroupsApi } from './describe-groups.js';
import { describeTopicsApi } from './describe-topics.js';
import { fetchApi } from './fetch.js';
import { findCoordinatorApi } from './find-coordinator.js';
import { heartbeatApi } from './heartbeat.js';
import { initProducerIdApi } from './init-producer-id.js';
import { joinGroupApi } from './join-group.js';
import { leaveGroupApi } from './leave-group.js';
import { listGroupsApi } from './list-groups.js';
import { listOffsetsApi } from './list-offsets.js';
import { metadataApi } from './metadata.js';
import { offsetCommitApi } from './offset-commit.js';
import { offsetDeleteApi } from './offset-delete.js';
import { offsetFetchApi } from './offset-fetch.js';
import { produceApi } from './produce.js';
import { syncGroupApi } from './sync-group.js';

/** Every API, ordered by key. */
export const apis: readonly Api<unknown, unknown>[] = [
  produceApi,
  fetchApi,
  listOffsetsApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  findCoordinatorApi,
  joinGroupApi,
  heartbeatApi,
  leaveGroupApi,
  syncGroupApi,
  describeGroupsApi,
  listGroupsApi,
  apiVersionsApi,
  createTopicsApi,
  deleteTopicsApi,
  deleteRecordsApi,
  initProducerIdApi,
  createPartitionsApi,
  deleteGroupsApi,
  alterTopicConfigsApi,
  offsetDeleteApi,
  describeClusterApi,
  describeTopicsApi,
];

const apisByKey: ReadonlyMap<number, Api<unknown, unknown>> = new Map(
  apis.map((api) => [api.apiKey, api]),
);

/** The API of a key, or undefined. */
export function apiByKey(key: number): Api<unknown, unknown> | undefined {
  return apisByKey.get(key);
}

/**
 * The API that a request is for.
 *
 * @throws ProtocolError `UNKNOWN_API`, or `UNSUPPORTED_VERSION` naming the versions that would do.
 */
export function apiOfRequest(
  head: Pick<FrameHead, 'apiKey' | 'apiVersion'>,
): Api<unknown, unknown> {
  const api = apisByKey.get(head.apiKey);
  if (api === undefined) {
    throw new ProtocolError('UNKNOWN_API', `There is no API with key ${head.apiKey}`);
  }
  if (head.apiVersion < api.minVersion || head.apiVersion > api.maxVersion) {
    throw unsupportedVersion(api, head.apiVersion);
  }
  return api;
}

/**
 * The newest version of an API that both sides speak.
 *
 * @param ranges what the other side speaks: `apis` of an apiVersions response.
 * @throws ProtocolError `UNKNOWN_API` when the other side does not have the API,
 *   `UNSUPPORTED_VERSION` when no version is common to both.
 */
export function pickVersion(
  api: Pick<Api<unknown, unknown>, 'apiKey' | 'name' | 'minVersion' | 'maxVersion'>,
  ranges: readonly ApiVersionRange[],
): number {
  const theirs = ranges.find((range) => range.apiKey === api.apiKey);
  if (theirs === undefined) {
    throw new ProtocolError('UNKNOWN_API', `The broker does not offer ${api.name}; update it`);
  }
  const version = Math.min(api.maxVersion, theirs.maxVersion);
  if (version >= Math.max(api.minVersion, theirs.minVersion)) return version;
  throw new ProtocolError(
    'UNSUPPORTED_VERSION',
    `No common version of ${api.name}: the broker speaks ${theirs.minVersion} to ` +
      `${theirs.maxVersion}, this client ${api.minVersion} to ${api.maxVersion}; ` +
      `update the older one`,
  );
}
