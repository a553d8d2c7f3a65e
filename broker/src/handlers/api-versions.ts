import { apiVersionsApi } from '@millrace/protocol';
import type {
  Api,
  ApiVersionRange,
  ApiVersionsRequest,
  ApiVersionsResponse,
} from '@millrace/protocol';
import { brokerVersion, SOFTWARE_NAME } from '../version.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/** Tells what the broker speaks. */
export class ApiVersionsHandler implements Handler<ApiVersionsRequest, ApiVersionsResponse> {
  readonly api = apiVersionsApi;
  readonly #apis: readonly ApiVersionRange[];

  /** @param served the APIs that are served besides this one. */
  constructor(
    private readonly services: HandlerServices,
    served: readonly Pick<Api<unknown, unknown>, keyof ApiVersionRange>[],
  ) {
    this.#apis = [...served, this.api].map(({ apiKey, minVersion, maxVersion }) => ({
      ...{ apiKey, minVersion, maxVersion },
    }));
  }

  handle(): Reply<ApiVersionsResponse> {
    return reply({
      clusterId: this.services.storage.clusterId,
      apis: this.#apis,
      software: SOFTWARE_NAME,
      version: brokerVersion(),
    });
  }
}
