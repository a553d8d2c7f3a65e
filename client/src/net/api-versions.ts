import {
  apiVersionsApi,
  createTopicsApi,
  deleteTopicsApi,
  describeTopicsApi,
  fetchApi,
  initProducerIdApi,
  listOffsetsApi,
  metadataApi,
  produceApi,
  type ApiVersionsResponse,
} from '@millrace/protocol';
import { UnsupportedVersionError } from '../errors.js';

/** Everything that this client may ask. */
const used = [
  apiVersionsApi,
  metadataApi,
  createTopicsApi,
  deleteTopicsApi,
  describeTopicsApi,
  produceApi,
  fetchApi,
  listOffsetsApi,
  initProducerIdApi,
] as const;

/**
 * Checks on connect that the broker speaks the API versions that this client does.
 *
 * @throws UnsupportedVersionError that names the API and both ranges.
 */
export function checkApiVersions(response: ApiVersionsResponse, broker: string): void {
  const offered = new Map(response.apis.map((api) => [api.apiKey, api]));
  for (const { apiKey, name, minVersion, maxVersion } of used) {
    const theirs = offered.get(apiKey);
    if (theirs === undefined || theirs.minVersion > maxVersion || theirs.maxVersion < minVersion) {
      const range =
        theirs === undefined ? 'not at all' : `${theirs.minVersion} to ${theirs.maxVersion}`;
      throw new UnsupportedVersionError(
        `The broker ${broker} (${response.software} ${response.version}) speaks ${name} ${range}; ` +
          `this client needs version ${minVersion} to ${maxVersion}: bring both to one release`,
        { broker },
      );
    }
  }
}
