import { BATCH_OVERHEAD_BYTES, RecordBatchBuilder } from '@millrace/protocol';

/** One record of `__offsets`, encoded. */
export interface EncodedRecord {
  readonly key: Buffer;
  /** null removes what the key names. */
  readonly value: Buffer | null;
}

/** What the records of one batch may be. */
export interface BatchBounds {
  readonly maxBatchBytes: number;
  readonly maxRecordsPerBatch: number;
}

/** A batch and the records in it. */
export interface PackedBatch<Item extends EncodedRecord> {
  readonly bytes: Buffer;
  readonly items: readonly Item[];
}

/** The most that a record takes besides its key and value; see {@link RecordBatchBuilder}. */
const RECORD_OVERHEAD_BYTES = 36;

/** An upper bound of what a record takes in a batch. */
export function recordBytes({ key, value }: EncodedRecord): number {
  return RECORD_OVERHEAD_BYTES + key.length + (value?.length ?? 0);
}

/** Whether a record can be stored at all. */
export function fitsAlone(record: EncodedRecord, bounds: BatchBounds): boolean {
  return BATCH_OVERHEAD_BYTES + recordBytes(record) <= bounds.maxBatchBytes;
}

/**
 * Packs records into as few batches as the bounds allow, in their order. The records of one list stay
 * together in one batch, which is stored whole or not at all, unless they are too many for any.
 *
 * @param lists each record of which {@link fitsAlone}.
 */
export function packBatches<Item extends EncodedRecord>(
  lists: Iterable<readonly Item[]>,
  bounds: BatchBounds,
  timestampMs: number,
): PackedBatch<Item>[] {
  const batches: PackedBatch<Item>[] = [];
  const builder = new RecordBatchBuilder({});
  let items: Item[] = [];
  let bytes = BATCH_OVERHEAD_BYTES;
  const hasRoom = (moreBytes: number, moreRecords: number): boolean =>
    bytes + moreBytes <= bounds.maxBatchBytes &&
    items.length + moreRecords <= bounds.maxRecordsPerBatch;
  const seal = (): void => {
    if (items.length === 0) return;
    batches.push({ bytes: builder.build(), items });
    builder.reset();
    items = [];
    bytes = BATCH_OVERHEAD_BYTES;
  };
  for (const list of lists) {
    const listBytes = list.reduce((sum, item) => sum + recordBytes(item), 0);
    if (!hasRoom(listBytes, list.length)) seal();
    for (const item of list) {
      const itemBytes = recordBytes(item);
      if (!hasRoom(itemBytes, 1)) seal();
      builder.append(item.key, item.value, null, timestampMs);
      items.push(item);
      bytes += itemBytes;
    }
  }
  seal();
  return batches;
}
