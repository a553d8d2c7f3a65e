import { ProtocolError } from '@millrace/protocol';
import type { CleanupPolicy } from '../storage/storage-config.js';

/** Everything that consumers can see. */
const ALL_RECORDS = -1;

/**
 * Up to where the records of a partition go when a client asks for that up to `offset`. As in Kafka, not
 * in a topic that is only compacted.
 * @param offset -1: up to the high watermark.
 * @throws ProtocolError POLICY_VIOLATION, OFFSET_OUT_OF_RANGE
 */
export function deletableOffset(
  partition: string,
  offset: number,
  highWatermark: number,
  cleanupPolicy: CleanupPolicy,
): number {
  if (cleanupPolicy === 'compact') {
    throw new ProtocolError(
      'POLICY_VIOLATION',
      `${partition}: records of a topic that is only compacted cannot be deleted by offset; write ` +
        'tombstones, or set its cleanup.policy to "compact,delete"',
    );
  }
  if (offset === ALL_RECORDS) return highWatermark;
  if (Number.isSafeInteger(offset) && offset >= 0 && offset <= highWatermark) return offset;
  throw new ProtocolError(
    'OFFSET_OUT_OF_RANGE',
    `${partition}: records can be deleted up to its high watermark ${highWatermark}, not up to ` +
      `offset ${offset}`,
  );
}
