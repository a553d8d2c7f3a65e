import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Millrace, MillraceError } from '@millrace/client';
import type { CompressionName } from '@millrace/protocol';
import { readBatchHeader } from '@millrace/protocol';
import { startBroker } from '../../../broker/src/broker.js';
import type { Broker } from '../../../broker/src/broker.js';
import { crashCopy } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

export const TOPIC = 'served';
const SETTINGS = { listen: '127.0.0.1:0', offsetCeilingBlock: 1_000 };
const CONFIG = {
  'segment.bytes': '8192',
  'max.message.bytes': '4096',
  'index.interval.bytes': '2048',
};
const CODECS = ['none', 'none', 'gzip', 'zstd'] as const satisfies CompressionName[];

/** A batch of the log: where it lies, and which offsets are in it. */
export interface StoredBatch {
  readonly file: string;
  readonly position: number;
  readonly sizeBytes: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
}

/** What a consumer got, until it was through or failed. */
export interface Consumed {
  readonly messages: readonly { readonly offset: number; readonly value: string }[];
  readonly error: MillraceError | undefined;
}

/** A running broker with one topic of many segments, of two epochs with a gap of offsets between. */
export class ServedLog {
  private constructor(
    readonly broker: Broker,
    readonly client: Millrace,
    readonly directory: string,
    readonly batches: readonly StoredBatch[],
    /** Values by offset. */
    readonly values: ReadonlyMap<number, string>,
    private readonly dataDir: string,
  ) {}

  static async start(): Promise<ServedLog> {
    const first = await makeTempDir();
    const values = new Map<number, string>();
    const before = await startBroker({ ...SETTINGS, dataDir: first.path });
    const writer = new Millrace({ brokers: [before.address] });
    await writer.admin.createTopic({ name: TOPIC, config: CONFIG });
    await produce(writer, values, 0);
    const { path } = await crashCopy(first.path);
    await writer.close();
    await before.close();
    await first.remove();
    const broker = await startBroker({ ...SETTINGS, dataDir: path });
    const client = new Millrace({ brokers: [broker.address] });
    await produce(client, values, 1);
    const [{ topicId } = { topicId: '' }] = await client.admin.listTopics();
    const directory = join(path, 'topics', topicId, '0');
    return new ServedLog(broker, client, directory, await batchesIn(directory), values, path);
  }

  /** Reads from `offset` to the end. */
  async consume(offset: number): Promise<Consumed> {
    const messages: { offset: number; value: string }[] = [];
    const consumer = this.client.consumer({ topics: [TOPIC], from: { offset }, exitAtEnd: true });
    try {
      for await (const message of consumer) {
        messages.push({ offset: message.offset, value: message.text() ?? '' });
      }
      return { messages, error: undefined };
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      return { messages, error };
    } finally {
      await consumer.close();
    }
  }

  /** Turns one bit over, until the function that it gives is called. */
  flip({ file }: StoredBatch, position: number, bit: number): () => void {
    const turn = (): void => {
      const fd = openSync(join(this.directory, file), 'r+');
      const byte = Buffer.alloc(1);
      readSync(fd, byte, 0, 1, position);
      byte.writeUInt8(byte.readUInt8(0) ^ (1 << bit), 0);
      writeSync(fd, byte, 0, 1, position);
      closeSync(fd);
    };
    turn();
    return turn;
  }

  async stop(): Promise<void> {
    await this.client.close();
    await this.broker.close();
    await rm(this.dataDir, { recursive: true });
  }
}

async function produce(
  client: Millrace,
  values: Map<number, string>,
  round: number,
): Promise<void> {
  for (let i = 0; i < 40; i += 1) {
    const compression = CODECS[i % CODECS.length] ?? 'none';
    const producer = client.producer({ compression });
    const texts = Array.from({ length: 1 + ((i * 7) % 5) }, (_, n) =>
      `round ${round}, batch ${i}, message ${n} `.padEnd(60 + ((i * 31) % 200), '.'),
    );
    const sent = await producer.sendBatch(
      TOPIC,
      texts.map((value) => ({ value })),
    );
    for (const [n, { offset }] of sent.entries()) values.set(offset, texts[n] ?? '');
    await producer.close();
  }
}

async function batchesIn(directory: string): Promise<StoredBatch[]> {
  const batches: StoredBatch[] = [];
  for (const file of (await readdir(directory)).filter((name) => name.endsWith('.log')).sort()) {
    const bytes = await readFile(join(directory, file));
    for (let position = 0; position + 61 <= bytes.length;) {
      const { baseOffset, lastOffsetDelta, magic, sizeBytes } = readBatchHeader(bytes, position);
      if (magic !== 2) break;
      batches.push({
        file,
        position,
        sizeBytes,
        baseOffset,
        lastOffset: baseOffset + lastOffsetDelta,
      });
      position += sizeBytes;
    }
  }
  return batches;
}
