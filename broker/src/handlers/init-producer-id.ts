import { initProducerIdApi, MAX_INT16, ProtocolError } from '@millrace/protocol';
import type { InitProducerIdRequest, InitProducerIdResponse } from '@millrace/protocol';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import type { HandlerServices } from './services.js';

/**
 * Gives a producer its identity, or the next epoch of the one it has. An id whose epochs are used up
 * (they have 16 bits) is replaced, as in Kafka (KIP-360); so is one that this broker never gave, which a
 * client may hold after the data directory was emptied.
 */
export class InitProducerIdHandler implements Handler<
  InitProducerIdRequest,
  InitProducerIdResponse
> {
  readonly api = initProducerIdApi;

  constructor(private readonly services: HandlerServices) {}

  async handle(request: InitProducerIdRequest): Promise<Reply<InitProducerIdResponse>> {
    const { producerId, producerEpoch } = request;
    if ((producerId === -1) !== (producerEpoch === -1)) {
      throw new ProtocolError(
        'INVALID_REQUEST',
        `initProducerId: producer id ${producerId} with epoch ${producerEpoch}; ` +
          'give both for an existing producer, or -1 for both',
      );
    }
    const { storage } = this.services;
    const known = producerId !== -1 && storage.isIssuedProducerId(producerId);
    if (known && producerEpoch < MAX_INT16) {
      return reply({ producerId, producerEpoch: producerEpoch + 1 });
    }
    return reply({ producerId: await storage.nextProducerId(), producerEpoch: 0 });
  }
}
