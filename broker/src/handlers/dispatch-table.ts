import { ApiVersionsHandler } from './api-versions.js';
import { CreateTopicsHandler } from './create-topics.js';
import { DeleteTopicsHandler } from './delete-topics.js';
import { DescribeTopicsHandler } from './describe-topics.js';
import { FetchHandler } from './fetch.js';
import type { AnyHandler } from './handler.js';
import { InitProducerIdHandler } from './init-producer-id.js';
import { ListOffsetsHandler } from './list-offsets.js';
import { MetadataHandler } from './metadata.js';
import { ProduceHandler } from './produce.js';
import type { HandlerServices } from './services.js';

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
  ] as const;
  const apiVersions = new ApiVersionsHandler(
    services,
    handlers.map(({ api }) => api),
  );
  return [...handlers, apiVersions] as readonly AnyHandler[];
}
