import { ProtocolError, type ErrorName } from '@millrace/protocol';
import { saidBy } from './util/text.js';

/** Codes of errors that arise in the client itself; the others are names of the broker's table. */
export type ClientErrorCode =
  | 'ACKNOWLEDGED_LOSS'
  | 'BUFFER_FULL'
  | 'CLOSED'
  | 'CONNECTION_FAILED'
  | 'DELIVERY_FAILED'
  | 'INVALID_ARGUMENT'
  | 'MAX_POLL_INTERVAL_EXCEEDED'
  | 'NOT_MILLRACE'
  | 'REBALANCED'
  | 'REQUEST_TIMEOUT'
  | 'TOPIC_RECREATED';

/** What an error is about: every field is there when it is known. */
export interface ErrorContext {
  /** `host:port` of the broker concerned. */
  readonly broker?: string | undefined;
  readonly topic?: string | undefined;
  readonly partition?: number | undefined;
  readonly cause?: unknown;
}

/**
 * Base of every error that this package throws, apart from the reasons of aborted signals, which
 * are thrown as they are (as `fetch` does).
 */
export class MillraceError extends Error {
  override readonly name: string = 'MillraceError';
  /** Stable name to branch on: {@link ClientErrorCode} or a name of the broker's error table. */
  readonly code: ClientErrorCode | ErrorName;
  /** Whether the same call may succeed later without a change. */
  readonly retriable: boolean;
  // Declared only: what is not known is no property, so that printing an error stays readable.
  declare readonly broker: string | undefined;
  declare readonly topic: string | undefined;
  declare readonly partition: number | undefined;

  constructor(
    code: ClientErrorCode | ErrorName,
    message: string,
    retriable: boolean,
    context: ErrorContext = {},
  ) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    this.retriable = retriable;
    const { broker, topic, partition } = context;
    if (broker !== undefined) this.broker = broker;
    if (topic !== undefined) this.topic = topic;
    if (partition !== undefined) this.partition = partition;
  }
}

/** A broker cannot be reached, or a connection broke with a request under way. */
export class ConnectionError extends MillraceError {
  override readonly name = 'ConnectionError';
  constructor(message: string, context: ErrorContext) {
    super('CONNECTION_FAILED', message, true, context);
  }
}

/** Something answers at the address, but it does not speak the millrace protocol. */
export class NotMillraceError extends MillraceError {
  override readonly name = 'NotMillraceError';
  constructor(message: string, context: ErrorContext) {
    super('NOT_MILLRACE', message, false, context);
  }
}

/** The broker speaks no version of an API that this client knows. */
export class UnsupportedVersionError extends MillraceError {
  override readonly name = 'UnsupportedVersionError';
  constructor(message: string, context: ErrorContext) {
    super('UNSUPPORTED_VERSION', message, false, context);
  }
}

/** No response within the time limit; the connection was closed, the outcome is unknown. */
export class RequestTimeoutError extends MillraceError {
  override readonly name = 'RequestTimeoutError';
  constructor(message: string, context: ErrorContext) {
    super('REQUEST_TIMEOUT', message, true, context);
  }
}

/** The broker answered with an error of its table; `code` is its name there. */
export class BrokerError extends MillraceError {
  override readonly name = 'BrokerError';
  constructor(error: ProtocolError, context: ErrorContext & { readonly action?: string } = {}) {
    const action = context.action === undefined ? '' : `${context.action}: `;
    const message = saidBy(`${action}${error.message}`, context.broker);
    super(error.errorName, message, error.retriable, { cause: error, ...context });
  }
}

/** The topic, or (with `partition`) that partition of it, does not exist. */
export class UnknownTopicError extends MillraceError {
  override readonly name = 'UnknownTopicError';
  constructor(message: string, context: ErrorContext) {
    super('UNKNOWN_TOPIC_OR_PARTITION', message, false, context);
  }
}

/** Messages were not delivered: an error that is final, or the delivery timeout ran out. */
export class DeliveryError extends MillraceError {
  override readonly name = 'DeliveryError';
  /** How often the batch was sent. */
  readonly attempts: number;
  /** How many messages were in the batch. */
  readonly messageCount: number;
  constructor(
    message: string,
    context: ErrorContext & { readonly attempts: number; readonly messageCount: number },
  ) {
    const retriable = context.cause instanceof MillraceError && context.cause.retriable;
    super('DELIVERY_FAILED', message, retriable, context);
    this.attempts = context.attempts;
    this.messageCount = context.messageCount;
  }
}

/** One message is larger than `maxMessageBytes` or than the topic's `max.message.bytes`. */
export class MessageTooLargeError extends MillraceError {
  override readonly name = 'MessageTooLargeError';
  constructor(message: string, context: ErrorContext) {
    super('MESSAGE_TOO_LARGE', message, false, context);
  }
}

/** The producer holds `bufferBytes`: `await producer.ready()` before the next `enqueue`. */
export class BufferFullError extends MillraceError {
  override readonly name = 'BufferFullError';
  constructor(message: string, context: ErrorContext = {}) {
    super('BUFFER_FULL', message, true, context);
  }
}

/** The client, producer or consumer was closed. */
export class ClosedError extends MillraceError {
  override readonly name = 'ClosedError';
  constructor(message: string, context: ErrorContext = {}) {
    super('CLOSED', message, false, context);
  }
}

/** An argument or option is not what the call takes. */
export class InvalidArgumentError extends MillraceError {
  override readonly name = 'InvalidArgumentError';
  constructor(message: string, context: ErrorContext = {}) {
    super('INVALID_ARGUMENT', message, false, context);
  }
}

/**
 * Messages that the broker had acknowledged are gone, as a crash of its machine takes what was
 * not yet synced (with `acks: 1`, or `durability: pagecache`). The producer goes on under a new
 * epoch; what was lost must be sent again by whoever still has it.
 */
export class AcknowledgedLossError extends MillraceError {
  override readonly name = 'AcknowledgedLossError';
  /** Offset of the last message acknowledged in this partition; it and some before it are gone. */
  readonly lastAcknowledgedOffset: number;
  constructor(
    message: string,
    context: ErrorContext & { readonly lastAcknowledgedOffset: number },
  ) {
    super('ACKNOWLEDGED_LOSS', message, false, context);
    this.lastAcknowledgedOffset = context.lastAcknowledgedOffset;
  }
}

/** The wanted offset is not (or no longer) within what the partition holds. */
export class OffsetOutOfRangeError extends MillraceError {
  override readonly name = 'OffsetOutOfRangeError';
  readonly offset: number;
  /** First offset the partition holds. */
  readonly beginningOffset: number;
  /** Offset that the next message will get. */
  readonly endOffset: number;
  constructor(
    message: string,
    context: ErrorContext & {
      readonly offset: number;
      readonly beginningOffset: number;
      readonly endOffset: number;
    },
  ) {
    super('OFFSET_OUT_OF_RANGE', message, false, context);
    this.offset = context.offset;
    this.beginningOffset = context.beginningOffset;
    this.endOffset = context.endOffset;
  }
}

/** A fetched batch is damaged: its checksum or structure does not fit its content. */
export class CorruptMessageError extends MillraceError {
  override readonly name = 'CorruptMessageError';
  /** Base offset of the damaged batch, or the wanted offset where the base offset is damaged. */
  readonly offset: number;
  constructor(message: string, context: ErrorContext & { readonly offset: number }) {
    super('CORRUPT_MESSAGE', message, false, context);
    this.offset = context.offset;
  }
}

/** The topic was deleted and made again: its offsets mean something else now. */
export class TopicRecreatedError extends MillraceError {
  override readonly name = 'TopicRecreatedError';
  constructor(message: string, context: ErrorContext) {
    super('TOPIC_RECREATED', message, false, context);
  }
}

/**
 * A position was not committed: its partition is not this member's any more. Whoever has it now
 * goes on from the last commit, so some messages are handled twice.
 */
export class RebalanceError extends MillraceError {
  override readonly name = 'RebalanceError';
  readonly group: string;
  constructor(message: string, context: ErrorContext & { readonly group: string }) {
    super('REBALANCED', message, false, context);
    this.group = context.group;
  }
}

/** Another consumer with the same `groupInstanceId` has taken this one's place. */
export class FencedInstanceError extends MillraceError {
  override readonly name = 'FencedInstanceError';
  readonly group: string;
  readonly groupInstanceId: string;
  constructor(
    message: string,
    context: ErrorContext & { readonly group: string; readonly groupInstanceId: string },
  ) {
    super('FENCED_INSTANCE_ID', message, false, context);
    this.group = context.group;
    this.groupInstanceId = context.groupInstanceId;
  }
}

/** One message was handled for longer than `maxPollIntervalMs`, so the consumer left its group. */
export class MaxPollIntervalExceededError extends MillraceError {
  override readonly name = 'MaxPollIntervalExceededError';
  readonly group: string;
  readonly maxPollIntervalMs: number;
  constructor(
    message: string,
    context: ErrorContext & { readonly group: string; readonly maxPollIntervalMs: number },
  ) {
    super('MAX_POLL_INTERVAL_EXCEEDED', message, false, context);
    this.group = context.group;
    this.maxPollIntervalMs = context.maxPollIntervalMs;
  }
}

/** Any thrown value as one of ours; the broker's errors get the context. */
export function toMillraceError(
  error: unknown,
  context: ErrorContext & { readonly action?: string } = {},
): MillraceError {
  if (error instanceof MillraceError) return error;
  if (error instanceof ProtocolError) return new BrokerError(error, context);
  const message = error instanceof Error ? error.message : String(error);
  return new MillraceError('UNKNOWN_SERVER_ERROR', message, false, { cause: error, ...context });
}
