import { fetchApi } from '@millrace/protocol';
import type { CallLimits, Cluster } from '../cluster.js';
import { MillraceError } from '../errors.js';
import { throwIfAborted } from '../util/abort.js';
import { raceAbort } from '../util/async.js';
import type { PartitionDescription } from './topic-types.js';

/** Questions to the log that are under way at once: the answer to each may be a whole batch. */
const MAX_CONCURRENT_PROBES = 8;

/** A committed position and the partition as it is now. */
export interface Position {
  readonly topic: string;
  readonly topicId: string;
  readonly committedOffset: number;
  /** Epoch of the partition when it was committed; -1 = not known. */
  readonly committedEpoch: number;
  readonly partition: PartitionDescription;
}

/**
 * Messages after a position, at the most; null where the end is not known. Never negative: after
 * a loss the end can be before what was committed. What was deleted is nobody's lag.
 */
export function lagByOffsets({ committedOffset, partition }: Position): number | null {
  const { highWatermark, startOffset } = partition;
  if (highWatermark < 0) return null;
  return Math.max(0, highWatermark - Math.max(committedOffset, startOffset));
}

/**
 * The lag of each position: that by offsets, and 0 where the log has nothing to read after the
 * position. The two differ after a crash, when the log goes on beyond every offset that may have
 * been seen: the gap is no message that anybody waits for. Such a gap lies where the leader epoch
 * changes, so only positions of an earlier epoch are looked at in the log.
 *
 * @throws the signal's reason. A partition that cannot be asked keeps the lag by offsets.
 */
export async function lagsOf(
  cluster: Cluster,
  positions: readonly Position[],
  { signal }: CallLimits,
): Promise<(number | null)[]> {
  const lags = positions.map(lagByOffsets);
  const doubtful = [...positions.entries()].filter(
    ([index, { committedEpoch, partition }]) =>
      (lags[index] ?? 0) > 0 && committedEpoch !== partition.leaderEpoch,
  );
  const probe = async (): Promise<void> => {
    for (let next = doubtful.pop(); next !== undefined; next = doubtful.pop()) {
      throwIfAborted(signal);
      const [index, position] = next;
      if (await isAtEnd(cluster, position)) lags[index] = 0;
    }
  };
  const probes = Array.from({ length: MAX_CONCURRENT_PROBES }, probe);
  await raceAbort(Promise.all(probes), signal);
  return lags;
}

/** Whether a fetch at the position finds nothing. */
async function isAtEnd(cluster: Cluster, position: Position): Promise<boolean> {
  const { topic, topicId, committedOffset, partition } = position;
  const offset = Math.max(committedOffset, partition.startOffset);
  // The first batch comes whole, however few bytes are asked for.
  const entry = { topicId, partition: partition.partition, offset, maxBytes: 1 };
  const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 1, entries: [entry] };
  try {
    // So that the leader's address is known.
    await cluster.topic(topic);
    const { response } = await cluster.askNode(partition.leader, 'admin', fetchApi, request);
    const [row] = response.entries;
    return row?.errorCode === 0 && row.byteLength === 0;
  } catch (error) {
    if (error instanceof MillraceError) return false;
    throw error;
  }
}
