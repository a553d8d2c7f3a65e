import type { Field } from '../header.js';
import { MAX_INT16 } from '../limits.js';
import type { Api } from './api.js';
import { readSafe } from './common.js';
import { FieldReader } from './fields.js';

/** Asks for a producer id, or for the next epoch of one. */
export interface InitProducerIdRequest {
  /** -1 = a new one. */
  readonly producerId: number;
  /** The epoch so far; -1 with a new producer id. */
  readonly producerEpoch: number;
}

/** The identity of an idempotent producer from now on. */
export interface InitProducerIdResponse {
  readonly producerId: number;
  /** 0 for a new producer id, one more than before for an existing one. */
  readonly producerEpoch: number;
}

/**
 * Gives an idempotent producer its id and epoch.
 *
 * ```
 * request  => producerId producerEpoch
 *   producerId     int ≥ -1
 *   producerEpoch  int16 ≥ -1
 * response => producerId producerEpoch
 *   producerId     int ≥ 0
 *   producerEpoch  int16 ≥ 0
 * ```
 */
export const initProducerIdApi: Api<InitProducerIdRequest, InitProducerIdResponse> = {
  apiKey: 22,
  name: 'initProducerId',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ producerId, producerEpoch }): Field[] {
    return [producerId, producerEpoch];
  },

  decodeRequest(fields): InitProducerIdRequest {
    return decodeFields(fields, 'initProducerId', -1);
  },

  encodeResponse({ producerId, producerEpoch }): Field[] {
    return [producerId, producerEpoch];
  },

  decodeResponse(fields): InitProducerIdResponse {
    return decodeFields(fields, 'initProducerId response', 0);
  },
};

function decodeFields(
  fields: readonly unknown[],
  name: string,
  min: number,
): { producerId: number; producerEpoch: number } {
  const reader = new FieldReader(fields, name);
  const producerId = readSafe(reader, 'producerId', min);
  const producerEpoch = reader.integer('producerEpoch', min, MAX_INT16);
  reader.end();
  return { producerId, producerEpoch };
}
