import type * as KafkaJs from 'kafkajs';
import type { Admin, CompressionTypes, Consumer, Kafka, Message, Producer } from 'kafkajs';
import { BenchError } from '../errors.js';
import type { LoadSpec } from '../load/spec.js';
import type {
  ConsumerSink,
  Driver,
  DriverConnection,
  DriverConsumer,
  DriverProducer,
} from './driver.js';
import { CONNECT_TIMEOUT_MS } from './driver.js';
import { loadClient } from './missing-client.js';

/** Any broker of Kafka's protocol, by kafkajs. What is sent in one turn leaves as one request. */
export const kafkaDriver: Driver = {
  name: 'kafka',
  acknowledgement(acks) {
    if (acks === 0) return 'none: sent is all that is known';
    if (acks === 1) return "in the leader's page cache";
    return 'in the page cache of all in-sync replicas (unless flush.messages is set)';
  },
  async connect({ address }, clientId): Promise<DriverConnection> {
    const kafkajs = await loadClient('kafkajs', () => import('kafkajs'));
    const { Kafka: Client, logLevel } = kafkajs.default;
    const client = new Client({
      brokers: address.split(','),
      clientId,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      logLevel: logLevel.NOTHING,
      retry: { retries: 2 },
    });
    const admin = client.admin();
    await admin.connect();
    return new KafkaDriverConnection(kafkajs.default, client, admin);
  },
};

class KafkaDriverConnection implements DriverConnection {
  constructor(
    private readonly kafkajs: Pick<typeof KafkaJs, 'CompressionTypes'>,
    private readonly client: Kafka,
    private readonly admin: Admin,
  ) {}

  async ensureTopic(topic: string, partitions: number): Promise<number> {
    const topics = [{ topic, numPartitions: partitions, replicationFactor: 1 }];
    await this.admin.createTopics({ topics, waitForLeaders: true });
    const found = await this.admin.fetchTopicMetadata({ topics: [topic] });
    return found.topics[0]?.partitions.length ?? partitions;
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.admin.deleteTopics({ topics: [topic] });
  }

  async messagesIn(topic: string): Promise<number> {
    const offsets = await this.admin.fetchTopicOffsets(topic);
    return offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
  }

  async producer(spec: LoadSpec): Promise<DriverProducer> {
    const { GZIP, None } = this.kafkajs.CompressionTypes;
    if (spec.compression !== 'none' && spec.compression !== 'gzip') {
      throw new BenchError('kafkajs compresses by gzip alone: give --compression gzip or none');
    }
    const compression = spec.compression === 'gzip' ? GZIP : None;
    const producer = this.client.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    return new KafkaProducer(producer, spec, compression);
  }

  async consumer(spec: LoadSpec): Promise<DriverConsumer> {
    if (spec.consume.atEnd === 'rewind') {
      throw new BenchError('the kafka driver reads a topic once: give --bytes of what there is');
    }
    // One group for all consumers of a load, so that it shares the partitions out.
    const groupId = `bench-${spec.topic}-${spec.consume.from}`;
    const consumer = this.client.consumer({ groupId, maxBytesPerPartition: spec.fetchBytes });
    await consumer.connect();
    const fromBeginning = spec.consume.from === 'beginning';
    await consumer.subscribe({ topics: [spec.topic], fromBeginning });
    return new KafkaConsumer(consumer);
  }

  async close(): Promise<void> {
    await this.admin.disconnect();
  }
}

interface Waiting {
  readonly message: Message;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class KafkaProducer implements DriverProducer {
  readonly copies = false;
  #waiting: Waiting[] = [];

  constructor(
    private readonly producer: Producer,
    private readonly spec: LoadSpec,
    private readonly compression: CompressionTypes,
  ) {}

  send(value: Buffer, key: string | null): Promise<unknown> {
    return new Promise<void>((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => void this.#sendAll());
      this.#waiting.push({ message: { key, value }, resolve, reject });
    });
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.producer.disconnect();
  }

  async #sendAll(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    const { acks, topic } = this.spec;
    try {
      await this.producer.send({
        ...{ topic, acks: acks === 'all' ? -1 : acks, compression: this.compression },
        messages: waiting.map(({ message }) => message),
      });
      for (const { resolve } of waiting) resolve();
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}

class KafkaConsumer implements DriverConsumer {
  constructor(private readonly consumer: Consumer) {}

  async run(sink: ConsumerSink): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.consumer.on(this.consumer.events.STOP, () => {
        resolve();
      });
    });
    await this.consumer.run({
      eachBatch: async ({ batch }) => {
        const gate = sink.gate();
        if (gate !== undefined) await gate;
        for (const { value } of batch.messages) if (value !== null) sink.message(value);
        sink.batchDone();
      },
    });
    await stopped;
  }

  stop(): Promise<void> {
    return this.consumer.disconnect();
  }
}
