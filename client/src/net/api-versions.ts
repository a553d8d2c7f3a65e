import {
  apiVersionsApi,
  createTopicsApi,
  deleteGroupsApi,
  deleteTopicsApi,
  describeGroupsApi,
  describeTopicsApi,
  fetchApi,
  findCoordinatorApi,
  heartbeatApi,
  initProducerIdApi,
  joinGroupApi,
  leaveGroupApi,
  listGroupsApi,
  listOffsetsApi,
  metadataApi,
  offsetCommitApi,
  offsetDeleteApi,
  offsetFetchApi,
  produceApi,
  syncGroupApi,
  type Api,
  type ApiVersionRange,
  type ApiVersionsResponse,
} from '@millrace/protocol';
import { UnsupportedVersionError } from '../errors.js';

type ApiName = Pick<Api<never, never>, 'apiKey' | 'name' | 'minVersion' | 'maxVersion'>;

/** What every client may ask: a broker without them is of no use. */
const needed: readonly ApiName[] = [
  apiVersionsApi,
  metadataApi,
  createTopicsApi,
  deleteTopicsApi,
  describeTopicsApi,
  produceApi,
  fetchApi,
  listOffsetsApi,
  initProducerIdApi,
];

/** What makes consumer groups; an older broker may do without, for who uses none. */
const ofGroups: readonly ApiName[] = [
  findCoordinatorApi,
  joinGroupApi,
  syncGroupApi,
  heartbeatApi,
  leaveGroupApi,
  offsetCommitApi,
  offsetFetchApi,
  offsetDeleteApi,
  describeGroupsApi,
  listGroupsApi,
  deleteGroupsApi,
];

const neededKeys = new Set(needed.map(({ apiKey }) => apiKey));
const groupKeys = new Set(ofGroups.map(({ apiKey }) => apiKey));

/** What the broker at the other end of a connection speaks. */
export class OfferedApis {
  readonly #broker: string;
  readonly #software: string;
  readonly #ranges: ReadonlyMap<number, ApiVersionRange>;

  /**
   * Checks what every client needs.
   *
   * @param broker `host:port`, for messages
   * @throws UnsupportedVersionError that names the API and both ranges.
   */
  constructor({ apis, software, version }: ApiVersionsResponse, broker: string) {
    this.#broker = broker;
    this.#software = `${software} ${version}`;
    this.#ranges = new Map(apis.map((api) => [api.apiKey, api]));
    for (const api of needed) {
      if (!this.#speaks(api)) throw this.#otherVersion(api);
    }
  }

  /** @returns why the API cannot be asked; undefined when it can. */
  refusal(api: ApiName): UnsupportedVersionError | undefined {
    if (neededKeys.has(api.apiKey) || this.#speaks(api)) return undefined;
    if (this.#ranges.has(api.apiKey)) return this.#otherVersion(api);
    const what = groupKeys.has(api.apiKey) ? 'consumer groups' : api.name;
    return new UnsupportedVersionError(
      `The broker ${this.#broker} (${this.#software}) does not offer ${what}; update it`,
      { broker: this.#broker },
    );
  }

  #speaks({ apiKey, minVersion, maxVersion }: ApiName): boolean {
    const theirs = this.#ranges.get(apiKey);
    return (
      theirs !== undefined && theirs.minVersion <= maxVersion && theirs.maxVersion >= minVersion
    );
  }

  #otherVersion({ apiKey, name, minVersion, maxVersion }: ApiName): UnsupportedVersionError {
    const theirs = this.#ranges.get(apiKey);
    const range =
      theirs === undefined ? 'not at all' : `${theirs.minVersion} to ${theirs.maxVersion}`;
    return new UnsupportedVersionError(
      `The broker ${this.#broker} (${this.#software}) speaks ${name} ${range}; ` +
        `this client needs version ${minVersion} to ${maxVersion}: bring both to one release`,
      { broker: this.#broker },
    );
  }
}
