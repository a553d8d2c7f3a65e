import {
  NO_BATCHES,
  END_TIMESTAMP,
  BEGINNING_TIMESTAMP,
  errorTable,
  isValidTopicName,
  ProtocolError,
  readBatches,
  type ByteChunks,
  type CreateTopicsRequest,
  type DeleteTopicsRequest,
  type DescribeTopicsRequest,
  type ErrorName,
  type FetchRequest,
  type InitProducerIdRequest,
  type ListOffsetsRequest,
  type MetadataRequest,
  type ProduceRequest,
} from '@millrace/protocol';
import type { FakeBroker } from './fake-broker.js';
import type { FakePartition } from './fake-log.js';

/** A response and what follows its header. */
export interface Answer {
  readonly response: unknown;
  readonly payload?: Buffer;
}

const NODE_ID = 1;
const ok = { errorCode: 0, errorMessage: null };

/** What the fake broker does for each request when nothing is wrong. */
export class FakeHandlers {
  readonly #broker: FakeBroker;

  constructor(broker: FakeBroker) {
    this.#broker = broker;
  }

  async handle(
    api: string,
    request: unknown,
    payload: ByteChunks,
    rowError: ErrorName | undefined,
  ): Promise<Answer | undefined> {
    switch (api) {
      case 'apiVersions':
        return { response: this.#apiVersions() };
      case 'metadata':
        return { response: this.#metadata(request as MetadataRequest) };
      case 'createTopics':
        return { response: this.#createTopics(request as CreateTopicsRequest) };
      case 'deleteTopics':
        return { response: this.#deleteTopics(request as DeleteTopicsRequest) };
      case 'describeTopics':
        return { response: this.#describeTopics(request as DescribeTopicsRequest) };
      case 'produce':
        return this.#produce(request as ProduceRequest, payload.toBuffer(), rowError);
      case 'fetch':
        return this.#fetch(request as FetchRequest);
      case 'listOffsets':
        return { response: this.#listOffsets(request as ListOffsetsRequest) };
      case 'initProducerId':
        return { response: this.#initProducerId(request as InitProducerIdRequest) };
      default: {
        const answer = this.#broker.extra.get(api);
        if (answer === undefined) throw new ProtocolError('UNKNOWN_API');
        return { response: answer(request) };
      }
    }
  }

  #apiVersions() {
    const apis = this.#broker.offered;
    return { clusterId: 'fake', apis, software: 'fake-broker', version: '0.0.0' };
  }

  #metadata({ topics }: MetadataRequest) {
    const names = topics ?? [...this.#broker.topics.keys()];
    return {
      clusterId: 'fake',
      nodes: [{ nodeId: NODE_ID, host: '', port: 0 }],
      topics: names.map((name) => {
        const topic = this.#broker.topics.get(name);
        if (topic === undefined) {
          const errorCode = errorTable.UNKNOWN_TOPIC_OR_PARTITION.code;
          return { errorCode, name, topicId: '', partitions: [] };
        }
        const partitions = topic.partitions.map(({ leaderEpoch }, partition) => ({
          partition,
          leader: NODE_ID,
          leaderEpoch,
        }));
        return { errorCode: 0, name, topicId: topic.id, partitions };
      }),
    };
  }

  #createTopics({ topics }: CreateTopicsRequest) {
    return {
      topics: topics.map(({ name, partitions }) => {
        const refuse = (error: ErrorName) => ({
          ...rowOf(new ProtocolError(error)),
          name,
          topicId: '',
          partitions: 0,
        });
        if (!isValidTopicName(name)) return refuse('INVALID_TOPIC');
        if (this.#broker.topics.has(name)) return refuse('TOPIC_ALREADY_EXISTS');
        if (partitions < 1) return refuse('INVALID_PARTITIONS');
        const topic = this.#broker.createTopic(name, partitions);
        return { ...ok, name, topicId: topic.id, partitions };
      }),
    };
  }

  #deleteTopics({ names }: DeleteTopicsRequest) {
    return {
      topics: names.map((name) =>
        this.#broker.topics.delete(name)
          ? { ...ok, name }
          : { ...rowOf(new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION')), name },
      ),
    };
  }

  #describeTopics({ names }: DescribeTopicsRequest) {
    return {
      topics: names.map((name) => {
        const topic = this.#broker.topics.get(name);
        if (topic === undefined) {
          const row = rowOf(new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION'));
          return { ...row, name, topicId: '', internal: false, config: [], partitions: [] };
        }
        return {
          ...ok,
          name,
          topicId: topic.id,
          internal: false,
          config: [
            ['segment.bytes', '1073741824', 'default'] as const,
            ['max.message.bytes', String(this.#broker.maxMessageBytes), 'topic'] as const,
          ],
          partitions: topic.partitions.map((held, partition) => ({
            partition,
            leader: NODE_ID,
            leaderEpoch: held.leaderEpoch,
            startOffset: held.startOffset,
            endOffset: held.endOffset,
            sizeBytes: held.batches.reduce((sum, { bytes }) => sum + bytes.length, 0),
            highWatermark: held.endOffset,
            segments: 1,
            diskBytes: 0,
            state: 'online' as const,
          })),
        };
      }),
    };
  }

  #produce(request: ProduceRequest, payload: Buffer, rowError: ErrorName | undefined) {
    let position = 0;
    const entries = request.entries.map(({ topicId, partition, byteLength }) => {
      const bytes = payload.subarray(position, position + byteLength);
      position += byteLength;
      try {
        if (rowError !== undefined) throw new ProtocolError(rowError);
        const held = this.#partition(topicId, partition);
        if (bytes.length > this.#broker.maxMessageBytes) {
          throw new ProtocolError('MESSAGE_TOO_LARGE');
        }
        // Refuses a batch with a wrong CRC.
        for (const batch of readBatches(bytes)) batch.cursor();
        const { baseOffset } = held.append(bytes);
        return {
          ...ok,
          topicId,
          partition,
          baseOffset,
          logAppendTimeMs: -1,
          logStartOffset: held.startOffset,
        };
      } catch (error) {
        const row = rowOf(error);
        return {
          ...row,
          topicId,
          partition,
          baseOffset: -1,
          logAppendTimeMs: -1,
          logStartOffset: -1,
        };
      }
    });
    return request.acks === 0 ? undefined : { response: { entries } };
  }

  async #fetch(request: FetchRequest): Promise<Answer> {
    const deadlineMs = performance.now() + request.maxWaitMs;
    for (;;) {
      const answer = this.#fetchNow(request);
      const waitMs = deadlineMs - performance.now();
      if (answer.payload.length > 0 || answer.failed || waitMs <= 0) return answer;
      await this.#someAppend(request, waitMs);
    }
  }

  #fetchNow({ entries, maxBytes }: FetchRequest) {
    const parts: Buffer[] = [];
    let total = 0;
    let failed = false;
    const rows = entries.map(({ topicId, partition, offset, maxBytes: rowBytes }) => {
      try {
        const held = this.#partition(topicId, partition);
        const room = Math.min(rowBytes, maxBytes - total);
        const bytes = room > 0 ? held.read(offset, room) : Buffer.alloc(0);
        parts.push(bytes);
        total += bytes.length;
        return {
          ...ok,
          topicId,
          partition,
          highWatermark: held.endOffset,
          logStartOffset: held.startOffset,
          leaderEpoch: held.leaderEpoch,
          byteLength: bytes.length,
          ...NO_BATCHES,
        };
      } catch (error) {
        failed = true;
        const none = { highWatermark: -1, logStartOffset: -1, leaderEpoch: -1, byteLength: 0 };
        return { ...rowOf(error), topicId, partition, ...none, ...NO_BATCHES };
      }
    });
    return { response: { entries: rows }, payload: Buffer.concat(parts), failed };
  }

  #someAppend({ entries }: FetchRequest, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const held = entries.map(({ topicId, partition }) => this.#partition(topicId, partition));
      const done = (): void => {
        clearTimeout(timer);
        for (const { waiters } of held) waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      timer.unref();
      for (const { waiters } of held) waiters.add(done);
    });
  }

  #listOffsets({ entries }: ListOffsetsRequest) {
    return {
      entries: entries.map(({ topicId, partition, timestampMs }) => {
        try {
          const held = this.#partition(topicId, partition);
          const found = offsetAt(held, timestampMs);
          return { ...ok, topicId, partition, ...found, leaderEpoch: held.leaderEpoch };
        } catch (error) {
          const none = { offset: -1, timestampMs: -1, leaderEpoch: -1 };
          return { ...rowOf(error), topicId, partition, ...none };
        }
      }),
    };
  }

  #initProducerId({ producerId, producerEpoch }: InitProducerIdRequest) {
    if (producerId >= 0) return { producerId, producerEpoch: producerEpoch + 1 };
    return { producerId: this.#broker.nextProducerId++, producerEpoch: 0 };
  }

  #partition(topicId: string, partition: number): FakePartition {
    const topic = this.#broker.topicById(topicId);
    if (topic === undefined) throw new ProtocolError('UNKNOWN_TOPIC_ID');
    const held = topic.partitions[partition];
    if (held === undefined) throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION');
    return held;
  }
}

function offsetAt(held: FakePartition, timestampMs: number) {
  if (timestampMs === END_TIMESTAMP) return { offset: held.endOffset, timestampMs: -1 };
  if (timestampMs === BEGINNING_TIMESTAMP) return { offset: held.startOffset, timestampMs: -1 };
  for (const { bytes } of held.batches) {
    for (const batch of readBatches(bytes)) {
      for (const record of batch) {
        if (record.timestampMs >= timestampMs) {
          return { offset: record.offset, timestampMs: record.timestampMs };
        }
      }
    }
  }
  return { offset: -1, timestampMs: -1 };
}

function rowOf(error: unknown) {
  const known = error instanceof ProtocolError ? error : new ProtocolError('UNKNOWN_SERVER_ERROR');
  return { errorCode: known.code, errorMessage: known.message };
}
