import { ProtocolError, type ProduceResult } from '@millrace/protocol';
import {
  AcknowledgedLossError,
  BrokerError,
  DeliveryError,
  MessageTooLargeError,
  type MillraceError,
} from '../errors.js';
import { counted, partitionName, saidBy } from '../util/text.js';
import type { Batch } from './batch.js';
import type { PartitionQueue } from './partition-queue.js';

/** What to do with a batch after the broker's answer. */
export type Outcome =
  /** `offset` of the first record; -1 where the broker does not say. */
  | { readonly kind: 'stored'; readonly offset: number }
  | { readonly kind: 'retry'; readonly error: MillraceError }
  /** Refused, and to be sent again under a new epoch; `loss` when that shows one. */
  | {
      readonly kind: 'restart';
      readonly error: MillraceError;
      readonly loss: AcknowledgedLossError | undefined;
    }
  | { readonly kind: 'split'; readonly error: MillraceError }
  | { readonly kind: 'failed'; readonly error: MillraceError };

/**
 * Judges the answer for one batch, in the light of what else the partition has under way.
 *
 * A sequence that is out of order means three things. With an older batch still to be repeated it
 * is a consequence: wait for that. After a batch that was given up it is the hole that one left.
 * Else the broker has lost what it had acknowledged, and says so by expecting less.
 */
export function judge(
  queue: PartitionQueue,
  batch: Batch,
  result: ProduceResult,
  broker: string,
): Outcome {
  const { topic, partition } = queue;
  if (result.errorCode === 0) {
    return { kind: 'stored', offset: result.baseOffset };
  }
  const cause = ProtocolError.fromCode(result.errorCode, result.errorMessage);
  const action = `produce to ${partitionName(topic, partition)}`;
  const error = new BrokerError(cause, { broker, topic, partition, action });
  switch (cause.errorName) {
    case 'DUPLICATE_SEQUENCE_NUMBER':
      // Stored by an earlier attempt, so long ago that the broker no longer knows where.
      return { kind: 'stored', offset: -1 };
    case 'OUT_OF_ORDER_SEQUENCE_NUMBER':
    case 'UNKNOWN_PRODUCER_ID':
    case 'INVALID_PRODUCER_EPOCH':
      if (batch.assigned === undefined) return { kind: 'failed', error };
      if (!queue.isOldest(batch)) return { kind: 'retry', error };
      return { kind: 'restart', error, loss: lossShownBy(queue, error) };
    case 'MESSAGE_TOO_LARGE':
      return batch.recordCount > 1 ? { kind: 'split', error } : { kind: 'failed', error };
    default:
      return error.retriable ? { kind: 'retry', error } : { kind: 'failed', error };
  }
}

function lossShownBy(queue: PartitionQueue, error: BrokerError): AcknowledgedLossError | undefined {
  const { topic, partition, lastAcknowledgedOffset, hole } = queue;
  if (hole || lastAcknowledgedOffset < 0 || error.code === 'INVALID_PRODUCER_EPOCH') {
    return undefined;
  }
  const certain = error.code === 'OUT_OF_ORDER_SEQUENCE_NUMBER';
  return new AcknowledgedLossError(
    `The broker ${certain ? 'has lost' : 'may have lost'} messages of ` +
      `${partitionName(topic, partition)} that it had acknowledged, up to offset ` +
      `${lastAcknowledgedOffset}: ` +
      (certain
        ? 'a crash of its machine took what was not yet synced'
        : 'it no longer knows this producer, after a crash or a long idle time') +
      '. The producer goes on with what it still holds; use acks "all" to rule this out',
    { broker: error.broker, topic, partition, cause: error, lastAcknowledgedOffset },
  );
}

/** What the senders of a batch that was given up are told. */
export function deliveryFailure(
  queue: PartitionQueue,
  batch: Batch,
  cause: MillraceError | undefined,
  reason: string,
): DeliveryError | MessageTooLargeError {
  const { topic, partition } = queue;
  const { attempts, recordCount: messageCount } = batch;
  const broker = cause?.broker;
  const where = partitionName(topic, partition);
  if (cause?.code === 'MESSAGE_TOO_LARGE') {
    return new MessageTooLargeError(
      saidBy(
        `A message for ${where} takes ${batch.bytes.length} bytes, more than the topic accepts ` +
          '(max.message.bytes); send it in parts, or create the topic with a larger limit',
        broker,
      ),
      { broker, topic, partition, cause },
    );
  }
  const were = messageCount === 1 ? 'was' : 'were';
  const because = cause === undefined ? '' : `: ${bare(cause)}`;
  return new DeliveryError(
    `${counted(messageCount, 'message')} for ${where} ${were} not delivered, ${reason} ` +
      `(${counted(attempts, 'attempt')})${because}`,
    { broker, topic, partition, attempts, messageCount, cause },
  );
}

/** What the broker said, without the words around it that the error itself has. */
function bare(error: MillraceError): string {
  if (!(error instanceof BrokerError) || !(error.cause instanceof Error)) return error.message;
  return saidBy(error.cause.message, error.broker);
}
