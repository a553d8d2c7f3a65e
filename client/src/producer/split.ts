import { RecordBatchBuilder, RecordBatchView, type CompressionName } from '@millrace/protocol';
import { advanceSequence, Batch, NO_STAMP } from './batch.js';

/**
 * Halves a batch that is larger than its topic accepts. The halves take the sequences and
 * deliveries of the whole, in order.
 *
 * @param batch of two records or more
 */
export function splitBatch(batch: Batch, compression: CompressionName): readonly [Batch, Batch] {
  const firstCount = Math.ceil(batch.recordCount / 2);
  const builders = [
    new RecordBatchBuilder({ compression }),
    new RecordBatchBuilder({ compression }),
  ] as const;
  let index = 0;
  for (const record of RecordBatchView.read(batch.bytes, 0, { checkCrc: false })) {
    const builder = index < firstCount ? builders[0] : builders[1];
    builder.append(record.key, record.value, record.headers, record.timestampMs);
    index += 1;
  }
  return [half(batch, builders[0], 0), half(batch, builders[1], firstCount)];
}

function half(whole: Batch, builder: RecordBatchBuilder, start: number): Batch {
  const { recordCount } = builder;
  const { assigned } = whole;
  const bytes = builder.build();
  const part = new Batch({
    bytes,
    recordCount,
    serial: whole.serial + start,
    deadlineMs: whole.deadlineMs,
    deliveries: whole.deliveries
      .filter(({ index }) => index >= start && index < start + recordCount)
      .map(({ index, delivery }) => ({ index: index - start, delivery })),
    chargedBytes: bytes.length,
    written: NO_STAMP,
  });
  part.attempts = whole.attempts;
  if (assigned !== undefined) {
    const baseSequence = advanceSequence(assigned.baseSequence, start);
    part.assigned = { ...assigned, baseSequence };
  }
  return part;
}
