import { Millrace, UnknownTopicError } from '@millrace/client';
import type { Consumer, Producer } from '@millrace/client';
import type { LoadSpec } from '../load/spec.js';
import type {
  ConsumerSink,
  Driver,
  DriverConnection,
  DriverConsumer,
  DriverProducer,
} from './driver.js';
import { CONNECT_TIMEOUT_MS } from './driver.js';

/** A broker of the same machine answers at once or is not there. */

/** millrace by its own SDK. */
export const millraceDriver: Driver = {
  name: 'millrace',
  acknowledgement(acks) {
    if (acks === 0) return 'none: sent is all that is known';
    if (acks === 1) return 'in the page cache: survives kill -9, not a power cut';
    return 'synced to the disk, by group commit (unless durability is pagecache)';
  },
  async connect({ address }, clientId): Promise<DriverConnection> {
    const client = new Millrace({
      brokers: address.split(','),
      clientId,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    });
    try {
      await client.connect();
    } catch (error) {
      await client.close();
      throw error;
    }
    return new MillraceConnection(client);
  },
};

class MillraceConnection implements DriverConnection {
  constructor(private readonly client: Millrace) {}

  async ensureTopic(topic: string, partitions: number): Promise<number> {
    const { admin } = this.client;
    const created = await admin.createTopic({ name: topic, partitions, ifNotExists: true });
    return created.partitions;
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.client.admin.deleteTopic(topic);
  }

  async messagesIn(topic: string): Promise<number> {
    try {
      const offsets = await this.client.admin.offsets(topic);
      return offsets.reduce((sum, { beginning, end }) => sum + end - beginning, 0);
    } catch (error) {
      if (error instanceof UnknownTopicError) return 0;
      throw error;
    }
  }

  producer(spec: LoadSpec): Promise<DriverProducer> {
    const { acks, batchBytes, compression, lingerMs } = spec;
    const producer = this.client.producer({ acks, batchBytes, compression, lingerMs });
    return Promise.resolve(new MillraceProducer(producer, spec.topic));
  }

  async consumer(spec: LoadSpec, partitions: readonly number[]): Promise<DriverConsumer> {
    const consumer = this.client.consumer({
      topics: [spec.topic],
      partitions,
      from: spec.consume.from,
      maxBytes: spec.fetchBytes,
      checkCrc: spec.checkCrc,
      onOutOfRange: 'beginning',
      exitAtEnd: spec.consume.atEnd === 'stop',
    });
    await consumer.start();
    return new MillraceConsumer(consumer, spec.consume.atEnd === 'rewind');
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

class MillraceProducer implements DriverProducer {
  readonly copies = true;

  constructor(
    private readonly producer: Producer,
    private readonly topic: string,
  ) {}

  send(value: Buffer, key: string | null): Promise<unknown> {
    return this.producer.send(this.topic, { value, key });
  }

  readonly enqueue = (value: Buffer, key: string | null): boolean =>
    this.producer.enqueue(this.topic, { value, key });

  readonly ready = (): Promise<void> => this.producer.ready();

  flush(): Promise<void> {
    return this.producer.flush();
  }

  close(): Promise<void> {
    return this.producer.close();
  }
}

class MillraceConsumer implements DriverConsumer {
  constructor(
    private readonly consumer: Consumer,
    private readonly rewind: boolean,
  ) {}

  async run(sink: ConsumerSink): Promise<void> {
    for await (const batch of this.consumer.batches()) {
      const gate = sink.gate();
      if (gate !== undefined) await gate;
      const cursor = batch.cursor();
      while (cursor.next()) {
        const value = cursor.value();
        if (value !== null) sink.message(value);
      }
      sink.batchDone();
      if (this.rewind && batch.lastOffset + 1 >= batch.highWatermark) {
        this.consumer.seek(batch.topic, batch.partition, 0);
      }
    }
  }

  stop(): Promise<void> {
    return this.consumer.close();
  }
}
