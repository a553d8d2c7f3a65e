import { once } from 'node:events';
import { connect } from 'node:net';
import {
  createTopicsApi,
  encodeRequestFrame,
  fetchApi,
  FrameDecoder,
  decodeResponseFrame,
  metadataApi,
  produceApi,
  RecordBatchBuilder,
} from '@millrace/protocol';
import type { Api } from '@millrace/protocol';
import { BenchError } from '../errors.js';

/** How long a broker may take over a request, in ms. */
const TIMEOUT_MS = 30_000;
/** Room for one record's framing in a batch. */
const RECORD_ROOM_BYTES = 64;

/** A record batch as a producer makes them. */
export interface FullBatch {
  readonly bytes: Buffer;
  readonly records: number;
}

/**
 * A batch of about so many bytes, and not of more unless one value is.
 *
 * @param value what each record holds.
 */
export function fullBatch(chunkBytes: number, value: Buffer): FullBatch {
  const builder = new RecordBatchBuilder({ initialBytes: chunkBytes });
  do builder.append(null, value, null, Date.now());
  while (builder.sizeBytes + value.length + RECORD_ROOM_BYTES <= chunkBytes);
  const records = builder.recordCount;
  return { bytes: builder.build(), records };
}

/** Requests that append the batch, `count` of them that can be under way at a time. */
export function produceFrames(topicId: string, batch: FullBatch, count: number): Buffer {
  const byteLength = batch.bytes.length;
  const entries = [{ topicId, partition: 0, byteLength }];
  const frames = Array.from({ length: count }, (_, id) => [
    encodeRequestFrame(produceApi, id, { acks: 1, timeoutMs: TIMEOUT_MS, entries }, byteLength),
    batch.bytes,
  ]);
  return Buffer.concat(frames.flat());
}

/** Requests that read each of `count` regions of so many records and bytes, one after the other. */
export function fetchFrames(
  topicId: string,
  region: { readonly records: number; readonly bytes: number },
  count: number,
): Buffer {
  const maxBytes = region.bytes;
  const frames = Array.from({ length: count }, (_, id) => {
    const entries = [{ topicId, partition: 0, offset: id * region.records, maxBytes }];
    return encodeRequestFrame(fetchApi, id, { maxWaitMs: 0, minBytes: 1, maxBytes, entries });
  });
  return Buffer.concat(frames);
}

/** Makes a topic of one partition. @returns its id. */
export async function makeTopic(address: string, name: string): Promise<string> {
  const topics = [{ name, partitions: 1, config: [] }];
  await call(address, createTopicsApi, { topics, timeoutMs: TIMEOUT_MS });
  return topicIdOf(address, name);
}

export async function topicIdOf(address: string, name: string): Promise<string> {
  const found = await call(address, metadataApi, { topics: [name] });
  const topicId = found.topics[0]?.topicId ?? '';
  if (topicId === '') throw new BenchError(`the broker at ${address} has no topic ${name}`);
  return topicId;
}

/** One request and its answer, on a connection of its own. */
async function call<Request, Response>(
  address: string,
  api: Api<Request, Response>,
  request: Request,
): Promise<Response> {
  const colon = address.lastIndexOf(':');
  const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
  try {
    socket.write(encodeRequestFrame(api, 1, request));
    const decoder = new FrameDecoder();
    for (;;) {
      const [chunk] = (await once(socket, 'data', {
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })) as [Buffer];
      for (const frame of decoder.push(chunk)) return decodeResponseFrame(api, frame);
    }
  } finally {
    socket.destroy();
  }
}
