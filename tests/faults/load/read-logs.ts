import { OffsetOutOfRangeError, type Millrace, type PartitionOffsets } from '@millrace/client';
import { partitionName, type FinalLog, type ReadRecord } from '../checker/history.js';
import type { HistoryRecorder } from '../checker/recorder.js';
import { recordsOf } from './read-records.js';

/**
 * Reads all that a topic holds into the history, when nobody writes to it any more.
 *
 * @param retention whether its beginning may have moved; without it nothing from offset 0 on may be missing
 */
export async function readLogs(
  client: Millrace,
  history: HistoryRecorder,
  topic: string,
  retention = false,
): Promise<readonly FinalLog[]> {
  const { offsets, records } = await readAll(client, topic);
  const logs = offsets.map(({ partition, beginning, end }) => ({
    partition: partitionName(topic, partition),
    startOffset: retention ? beginning : 0,
    endOffset: end,
    records: records.get(partition) ?? [],
  }));
  for (const log of logs) history.log(log);
  return logs;
}

interface TopicContent {
  readonly offsets: readonly PartitionOffsets[];
  readonly records: ReadonlyMap<number, readonly ReadRecord[]>;
}

/** Begins again where retention moved the beginning in the middle of it. */
async function readAll(client: Millrace, topic: string): Promise<TopicContent> {
  for (;;) {
    const offsets = await client.admin.offsets(topic);
    const records = new Map<number, ReadRecord[]>(offsets.map(({ partition }) => [partition, []]));
    try {
      const consumer = client.consumer({ topics: [topic], exitAtEnd: true });
      for await (const batch of consumer.batches()) {
        records.get(batch.partition)?.push(...recordsOf(batch));
      }
      const after = await client.admin.offsets(topic);
      const moved = after.some(({ beginning }, i) => beginning !== offsets[i]?.beginning);
      if (!moved) return { offsets, records };
    } catch (error) {
      if (!(error instanceof OffsetOutOfRangeError)) throw error;
    }
  }
}
