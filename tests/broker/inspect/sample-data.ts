import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ByteChunks, RecordBatchBuilder } from '@millrace/protocol';
import type { CompressionName } from '@millrace/protocol';
import { readBatches } from '@millrace/protocol';
import type { Finding } from '../../../broker/src/inspect/findings.js';
import { verifyDirectory } from '../../../broker/src/inspect/verify-directory.js';
import type { VerifyResult } from '../../../broker/src/inspect/verify-directory.js';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { chunksOf, makeBatch, T0 } from '../../support/batches.js';
import {
  createTopic,
  filesIn,
  logDirectory,
  openTestStorage,
  partitionOf,
} from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';
import { temporaryDirectory } from '../support/temporary.js';
import type { TestStorage, TestStorageOptions } from '../../support/storage.js';

export const CODECS: readonly CompressionName[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** One batch of `count` records with keys, of that codec, after the `n` before it. */
export function sampleBatch(n: number, compression: CompressionName, count = 4): Buffer {
  const builder = new RecordBatchBuilder({ compression });
  for (let i = 0; i < count; i += 1) {
    const value = `value ${n}.${i} `.padEnd(120, 'x');
    builder.append(`key-${n}-${i}`, value, null, T0 + n * 1_000 + i);
  }
  const producer = { producerId: 7, producerEpoch: 0, baseSequence: n * count };
  return Buffer.from(builder.build(producer));
}

/** Appends `batches` batches, of all codecs in turn, durably. */
export async function fill(partition: Partition, batches: number, first = 0): Promise<void> {
  for (let n = first; n < first + batches; n += 1) {
    const codec = CODECS[n % CODECS.length] ?? 'none';
    await partition.append(new ByteChunks([sampleBatch(n, codec)]), -1);
  }
}

export const SMALL_SEGMENTS = { 'segment.bytes': '4096', 'index.interval.bytes': '1024' };

/** A data directory with one topic `t` of several small segments. */
export async function makeSample(
  path: string,
  options: TestStorageOptions = {},
  config: Readonly<Record<string, string>> = {},
): Promise<{ readonly storage: TestStorage; readonly partition: Partition; readonly log: string }> {
  const storage = await openTestStorage(path, options);
  const partition = await createTopic(storage, { ...SMALL_SEGMENTS, ...config });
  await fill(partition, 60);
  return { storage, partition, log: logDirectory(path, partition) };
}

export interface Verified extends VerifyResult {
  readonly findings: readonly Finding[];
  readonly damage: readonly Finding[];
}

export async function verified(path: string, topic?: string): Promise<Verified> {
  const findings: Finding[] = [];
  const result = await verifyDirectory(path, { topic, report: (found) => findings.push(found) });
  const damage = findings.filter(({ severity }) => severity === 'damage');
  return { ...result, findings, damage };
}

/** The segments of a log directory, oldest first. */
export async function segmentsIn(log: string): Promise<string[]> {
  return (await filesIn(log, '.log')).map((name) => join(log, name));
}

/** Where the batches of a sealed segment start. */
export function batchPositions(path: string): number[] {
  const positions: number[] = [];
  let position = 0;
  for (const batch of readBatches(readFileSync(path))) {
    positions.push(position);
    position += batch.header.sizeBytes;
  }
  return positions;
}

/** Turns over bits of one byte. */
export function flip(path: string, position: number, mask = 0x41): void {
  const bytes = readFileSync(path);
  bytes[position] = (bytes[position] ?? 0) ^ mask;
  writeFileSync(path, bytes);
}

export function appendTo(path: string, bytes: Buffer): void {
  appendFileSync(path, bytes);
}

/** A sound directory that tests damage copies of: two epochs with a gap between, several segments. */
export class SoundDirectory {
  private constructor(
    readonly path: string,
    readonly topicId: string,
    readonly remove: () => Promise<void>,
  ) {}

  static async make(): Promise<SoundDirectory> {
    const { path, remove } = await makeTempDir();
    const { storage, partition } = await makeSample(path);
    await storage.drop();
    const again = await openTestStorage(path);
    for (let i = 0; i < 30; i += 1) {
      await partitionOf(again).append(chunksOf(makeBatch({ records: 3, valueBytes: 200 })), -1);
    }
    await again.close();
    return new SoundDirectory(path, partition.topicId, remove);
  }

  /** A copy, gone after the test, and where its log lies. */
  copy(): { readonly path: string; readonly log: string } {
    const path = temporaryDirectory();
    cpSync(this.path, path, { recursive: true });
    return { path, log: join(path, 'topics', this.topicId, '0') };
  }
}
