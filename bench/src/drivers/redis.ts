import type { RedisClientType } from '@redis/client';
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

/** Entries that one XREAD asks for, and how long it waits for the first. */
const READ_COUNT = 2_000;
const READ_BLOCK_MS = 200;

/** Redis Streams with an append-only file: a stream for each partition. */
export const redisDriver: Driver = {
  name: 'redis',
  acknowledgement(acks) {
    if (acks === 0) return 'as with 1: Redis always answers';
    if (acks === 1) return 'written to the AOF, in the page cache (appendfsync everysec)';
    return 'AOF synced to the disk before the answer (appendfsync always)';
  },
  async connect({ address }): Promise<DriverConnection> {
    const redis = await loadClient('@redis/client', () => import('@redis/client'));
    const socket = { connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false as const };
    const client = redis.createClient({ url: `redis://${address}`, socket });
    // Without a listener a broken connection ends the process; calls fail by themselves.
    client.on('error', () => undefined);
    await client.connect();
    const { BLOB_STRING } = redis.RESP_TYPES;
    return new RedisDriverConnection(client, BLOB_STRING);
  },
};

const streamOf = (topic: string, partition: number): string => `${topic}:${partition}`;

class RedisDriverConnection implements DriverConnection {
  #partitions = 0;

  constructor(
    private readonly client: RedisClientType,
    private readonly blobType: 36,
  ) {}

  ensureTopic(_topic: string, partitions: number): Promise<number> {
    this.#partitions = partitions;
    return Promise.resolve(partitions);
  }

  async deleteTopic(topic: string): Promise<void> {
    const streams = Array.from({ length: this.#partitions }, (_, p) => streamOf(topic, p));
    if (streams.length > 0) await this.client.del(streams);
  }

  async messagesIn(topic: string): Promise<number> {
    let sum = 0;
    for (let p = 0; p < this.#partitions; p += 1) sum += await this.client.xLen(streamOf(topic, p));
    return sum;
  }

  producer(spec: LoadSpec): Promise<DriverProducer> {
    if (spec.compression !== 'none') {
      throw new BenchError('Redis has no compression by the client: leave out --compression');
    }
    return Promise.resolve(new RedisProducer(this.client, spec));
  }

  async consumer(spec: LoadSpec, partitions: readonly number[]): Promise<DriverConsumer> {
    const positions = new Map<string, string>();
    for (const partition of partitions) {
      const stream = streamOf(spec.topic, partition);
      const newest = await this.client.xRevRange(stream, '+', '-', { COUNT: 1 });
      positions.set(stream, spec.consume.from === 'end' ? (newest?.[0]?.id ?? '0') : '0');
    }
    return new RedisConsumer(this.client, this.blobType, positions, spec.consume.atEnd);
  }

  async close(): Promise<void> {
    if (this.client.isOpen) this.client.destroy();
    return Promise.resolve();
  }
}

class RedisProducer implements DriverProducer {
  readonly copies = false;
  readonly #streams: readonly string[];
  #next = 0;

  constructor(
    private readonly client: RedisClientType,
    spec: LoadSpec,
  ) {
    this.#streams = Array.from({ length: spec.partitions }, (_, p) => streamOf(spec.topic, p));
  }

  send(value: Buffer): Promise<unknown> {
    this.#next = (this.#next + 1) % this.#streams.length;
    return this.client.xAdd(this.#streams[this.#next] ?? '', '*', { v: value });
  }

  async flush(): Promise<void> {
    await this.client.ping();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class RedisConsumer implements DriverConsumer {
  #stopped = false;

  constructor(
    private readonly client: RedisClientType,
    private readonly blobType: 36,
    private readonly positions: Map<string, string>,
    private readonly atEnd: LoadSpec['consume']['atEnd'],
  ) {}

  async run(sink: ConsumerSink): Promise<void> {
    const client = this.client.withTypeMapping({ [this.blobType]: Buffer });
    while (!this.#stopped) {
      const asked = Array.from(this.positions, ([key, id]) => ({ key, id }));
      const answer = await client.xRead(asked, { COUNT: READ_COUNT, BLOCK: READ_BLOCK_MS });
      if (answer === null) {
        if (this.atEnd === 'stop') return;
        if (this.atEnd === 'rewind') this.#rewind();
        continue;
      }
      const gate = sink.gate();
      if (gate !== undefined) await gate;
      for (const { name, messages } of answer as unknown as readonly RedisRead[]) {
        for (const { message } of messages) sink.message(message.v);
        const last = messages.at(-1);
        if (last !== undefined) this.positions.set(name.toString(), last.id.toString());
      }
      sink.batchDone();
    }
  }

  stop(): Promise<void> {
    this.#stopped = true;
    return Promise.resolve();
  }

  #rewind(): void {
    for (const stream of this.positions.keys()) this.positions.set(stream, '0');
  }
}

/** A stream in the answer to XREAD, with texts as bytes. */
interface RedisRead {
  readonly name: Buffer;
  readonly messages: readonly { readonly id: Buffer; readonly message: { readonly v: Buffer } }[];
}
