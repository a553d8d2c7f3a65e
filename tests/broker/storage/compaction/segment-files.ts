import { readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ByteChunks, readBatches, RecordBatchBuilder, stampBatch } from '@millrace/protocol';
import type { CompressionName, RecordBatchView } from '@millrace/protocol';
import { compactSegments } from '../../../../broker/src/storage/compaction/compact-segments.js';
import type {
  CleanedGroup,
  CompactionInput,
  CompactionJob,
  CompactionResult,
} from '../../../../broker/src/storage/compaction/job.js';
import { cleanedFileName } from '../../../../broker/src/storage/compaction/manifest.js';
import { logFileName } from '../../../../broker/src/storage/segment-name.js';
import { T0 } from '../../../support/batches.js';

export interface KeyedRecord {
  readonly key: string | null;
  readonly value: string | null;
}

export interface KeyedBatch {
  readonly records: readonly KeyedRecord[];
  readonly compression?: CompressionName;
  readonly producerId?: number;
  readonly baseSequence?: number;
  readonly timestampMs?: number;
}

export interface StoredRecord extends KeyedRecord {
  readonly offset: number;
  readonly timestampMs: number;
}

/** Shorthand: `a=1` is a value, `a` a tombstone, `=1` a record without a key. */
export function records(text: string): KeyedRecord[] {
  return text.split(' ').map((word) => {
    const [key = '', value] = word.split('=');
    return { key: key === '' ? null : key, value: value ?? null };
  });
}

/** One batch as a producer sends it. */
export function keyedBatch(batch: KeyedBatch): Buffer {
  const { compression = 'none', timestampMs = T0, producerId = -1 } = batch;
  const builder = new RecordBatchBuilder({ compression });
  for (const { key, value } of batch.records) builder.append(key, value, null, timestampMs);
  const producerEpoch = producerId < 0 ? -1 : 0;
  const baseSequence = batch.baseSequence ?? (producerId < 0 ? -1 : 0);
  return Buffer.from(builder.build({ producerId, producerEpoch, baseSequence }));
}

/** A log of segment files, made without a broker. */
export class SegmentFiles {
  inputs: CompactionInput[] = [];
  end = 0;

  constructor(readonly directory: string) {}

  /** Adds a segment with these batches; returns their bytes. */
  async add(...batches: readonly KeyedBatch[]): Promise<Buffer[]> {
    const baseOffset = this.end;
    const stored = batches.map((batch) => {
      const bytes = keyedBatch(batch);
      stampBatch(new ByteChunks([bytes]), 0, this.end, 0);
      this.end += batch.records.length;
      return bytes;
    });
    const path = join(this.directory, logFileName(baseOffset));
    const content = Buffer.concat(stored);
    await writeFile(path, content);
    this.inputs.push({ path, baseOffset, sizeBytes: content.length });
    return stored;
  }

  job(change: Partial<CompactionJob> = {}): CompactionJob {
    return {
      directory: this.directory,
      inputs: this.inputs,
      end: this.end,
      startOffset: 0,
      dirtyFrom: 0,
      tombstonesGoBefore: 0,
      segmentBytes: 1 << 20,
      indexIntervalBytes: 4096,
      mapBytes: 1 << 20,
      bytesPerSecond: 1e9,
      producers: new Float64Array(),
      rememberedBatches: new Float64Array(),
      ...change,
    };
  }

  /** Runs a job, each group taking its place without any of the care that a broker takes. */
  async compact(
    change: Partial<CompactionJob> = {},
  ): Promise<CompactionResult & { groups: CleanedGroup[] }> {
    const groups: CleanedGroup[] = [];
    const result = await compactSegments(this.job(change), {
      onGroup: async (group) => {
        groups.push(group);
        await this.#replace(group);
      },
    });
    return { ...result, groups };
  }

  async #replace({ base, end, bytesAfter }: CleanedGroup): Promise<void> {
    const path = join(this.directory, logFileName(base));
    const inputs = this.inputs.filter((input) => input.baseOffset < base);
    const rest = this.inputs.filter((input) => input.baseOffset >= end);
    for (const input of this.inputs) {
      if (!inputs.includes(input) && !rest.includes(input)) await unlink(input.path);
    }
    await rename(join(this.directory, cleanedFileName(base)), path);
    this.inputs = [...inputs, { path, baseOffset: base, sizeBytes: bytesAfter }, ...rest];
  }

  /** Every batch there is, checksums checked. */
  async batches(): Promise<RecordBatchView[]> {
    const views: RecordBatchView[] = [];
    for (const { path, sizeBytes } of this.inputs) {
      const bytes = await readFile(path);
      if (bytes.length !== sizeBytes) throw new Error(`${path} has ${bytes.length} bytes`);
      views.push(...readBatches(bytes));
    }
    return views;
  }

  async stored(): Promise<StoredRecord[]> {
    return (await this.batches()).flatMap(recordsOf);
  }

  /** As {@link records} takes them, with their offsets: `0:a=1 4:a`. */
  async text(): Promise<string> {
    return (await this.stored()).map(asText).join(' ');
  }
}

export function recordsOf(batch: RecordBatchView): StoredRecord[] {
  return [...batch].map(({ offset, key, value, timestampMs }) => ({
    offset,
    timestampMs,
    key: key?.toString() ?? null,
    value: value?.toString() ?? null,
  }));
}

export function asText({ offset, key, value }: StoredRecord): string {
  return `${offset}:${key ?? ''}${value === null ? '' : `=${value}`}`;
}
