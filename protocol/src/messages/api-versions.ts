import type { Field } from '../header.js';
import { MAX_ENTRIES, MAX_INT16 } from '../limits.js';
import type { Api, ApiVersionRange } from './api.js';
import { FieldReader } from './fields.js';

/** What a client says of itself when it connects. */
export interface ApiVersionsRequest {
  readonly clientSoftware: string;
  readonly clientVersion: string;
}

/** What a broker speaks. */
export interface ApiVersionsResponse {
  readonly clusterId: string;
  readonly apis: readonly ApiVersionRange[];
  readonly software: string;
  readonly version: string;
}

/**
 * Which APIs and versions the broker speaks; the first request on a connection.
 *
 * ```
 * request  => clientSoftware clientVersion
 *   clientSoftware, clientVersion  string
 * response => clusterId [api] software version
 *   clusterId, software, version   string
 *   api                            [apiKey int16 ≥ 0, minVersion int16 ≥ 0, maxVersion int16 ≥ 0]
 * ```
 */
export const apiVersionsApi: Api<ApiVersionsRequest, ApiVersionsResponse> = {
  apiKey: 18,
  name: 'apiVersions',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest(request): Field[] {
    return [request.clientSoftware, request.clientVersion];
  },

  decodeRequest(fields): ApiVersionsRequest {
    const reader = new FieldReader(fields, 'apiVersions');
    const clientSoftware = reader.string('clientSoftware');
    const clientVersion = reader.string('clientVersion');
    reader.end();
    return { clientSoftware, clientVersion };
  },

  encodeResponse({ clusterId, apis, software, version }): Field[] {
    const rows = apis.map((api) => [api.apiKey, api.minVersion, api.maxVersion]);
    return [clusterId, rows, software, version];
  },

  decodeResponse(fields): ApiVersionsResponse {
    const reader = new FieldReader(fields, 'apiVersions response');
    const clusterId = reader.string('clusterId');
    const apis = reader.rows('apis', MAX_ENTRIES, (row) => ({
      apiKey: row.integer('apiKey', 0, MAX_INT16),
      minVersion: row.integer('minVersion', 0, MAX_INT16),
      maxVersion: row.integer('maxVersion', 0, MAX_INT16),
    }));
    const software = reader.string('software');
    const version = reader.string('version');
    reader.end();
    return { clusterId, apis, software, version };
  },
};
