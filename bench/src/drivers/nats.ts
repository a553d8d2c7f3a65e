import type * as JetStream from '@nats-io/jetstream';
import type { Consumer, JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
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

/** Messages that the server sends ahead. */
const PULL_MESSAGES = 5_000;

/** NATS JetStream: one stream with file storage, a subject for each partition. */
export const natsDriver: Driver = {
  name: 'nats',
  acknowledgement(acks) {
    if (acks === 0) return 'none: core publish, nothing is awaited';
    if (acks === 1) return 'written to the stream file, in the page cache (synced every 2 minutes)';
    return 'synced to the disk, each message (sync_interval always)';
  },
  async connect({ address }, name): Promise<DriverConnection> {
    const transport = await loadClient(
      '@nats-io/transport-node',
      () => import('@nats-io/transport-node'),
    );
    const jetstream = await loadClient('@nats-io/jetstream', () => import('@nats-io/jetstream'));
    const connection = await transport.connect({
      servers: address,
      name,
      timeout: CONNECT_TIMEOUT_MS,
    });
    const manager = await jetstream.jetstreamManager(connection);
    return new NatsDriverConnection(connection, jetstream, manager);
  },
};

const subjectOf = (topic: string, partition: number): string => `${topic}.${partition}`;

class NatsDriverConnection implements DriverConnection {
  constructor(
    private readonly connection: NatsConnection,
    private readonly jetstream: typeof JetStream,
    private readonly manager: JetStreamManager,
  ) {}

  async ensureTopic(topic: string, partitions: number): Promise<number> {
    const storage = this.jetstream.StorageType.File;
    await this.manager.streams.add({ name: topic, subjects: [`${topic}.*`], storage });
    return partitions;
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.manager.streams.delete(topic);
  }

  async messagesIn(topic: string): Promise<number> {
    return (await this.manager.streams.info(topic)).state.messages;
  }

  producer(spec: LoadSpec): Promise<DriverProducer> {
    if (spec.compression !== 'none') {
      throw new BenchError('NATS has no compression by the client: leave out --compression');
    }
    const client = this.jetstream.jetstream(this.connection);
    return Promise.resolve(new NatsProducer(this.connection, client, spec));
  }

  async consumer(spec: LoadSpec, partitions: readonly number[]): Promise<DriverConsumer> {
    const { DeliverPolicy, jetstream } = this.jetstream;
    const { from } = spec.consume;
    const subjects = partitions.map((partition) => subjectOf(spec.topic, partition));
    const open = (again: boolean): Promise<Consumer> =>
      jetstream(this.connection).consumers.get(spec.topic, {
        ...(spec.consumers > 1 && { filter_subjects: subjects }), // of servers from 2.10 on
        deliver_policy: from === 'end' && !again ? DeliverPolicy.New : DeliverPolicy.All,
      });
    return new NatsConsumer(open, await open(false), spec.consume.atEnd);
  }

  async close(): Promise<void> {
    await this.connection.close();
  }
}

class NatsProducer implements DriverProducer {
  readonly copies = true;
  readonly #subjects: readonly string[];
  #next = 0;

  constructor(
    private readonly connection: NatsConnection,
    private readonly client: JetStreamClient,
    private readonly spec: LoadSpec,
  ) {
    this.#subjects = Array.from({ length: spec.partitions }, (_, partition) =>
      subjectOf(spec.topic, partition),
    );
  }

  send(value: Buffer): Promise<unknown> {
    this.#next = (this.#next + 1) % this.#subjects.length;
    const subject = this.#subjects[this.#next] ?? '';
    if (this.spec.acks !== 0) return this.client.publish(subject, value);
    this.connection.publish(subject, value);
    return Promise.resolve();
  }

  async flush(): Promise<void> {
    await this.connection.flush();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class NatsConsumer implements DriverConsumer {
  #stopped = false;
  #messages: { close(): Promise<unknown> } | undefined;

  constructor(
    private readonly open: (again: boolean) => Promise<Consumer>,
    private consumer: Consumer,
    private readonly atEnd: LoadSpec['consume']['atEnd'],
  ) {}

  async run(sink: ConsumerSink): Promise<void> {
    while (!this.#stopped) {
      const messages = await this.consumer.consume({ max_messages: PULL_MESSAGES });
      this.#messages = messages;
      let ended = false;
      for await (const message of messages) {
        const gate = sink.gate();
        if (gate !== undefined) await gate;
        const { buffer, byteOffset, byteLength } = message.data;
        sink.message(Buffer.from(buffer, byteOffset, byteLength));
        sink.batchDone();
        ended = message.info.pending === 0 && this.atEnd !== 'wait';
        if (ended) break;
      }
      if (!ended || this.atEnd === 'stop') return;
      this.consumer = await this.open(true);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#messages?.close();
  }
}
