import { RecordBatchBuilder, type Acks, type CompressionName } from '@millrace/protocol';
import { InvalidArgumentError, type MillraceError } from '../errors.js';
import { choiceOption, integerOption } from '../util/check.js';
import { checkKeys, type KeysOf } from '../util/known-keys.js';
import type { Partitioner } from './partitioner.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Defaults and bounds of a producer. Sizes in bytes, times in milliseconds. */
export const producerDefaults = {
  /**
   * 0: a batch is sent at the end of the event loop's turn in which its first message came, if
   * one of `maxInFlight` is free; what comes while all are taken gathers in the next batch. So a
   * single `await send()` costs one round trip, and under load batches still fill by themselves.
   */
  lingerMs: 0,
  batchBytes: 256 * KiB,
  bufferBytes: 32 * MiB,
  maxMessageBytes: 8 * MiB,
  maxInFlight: 5,
  deliveryTimeoutMs: 120_000,
  retryBackoffMs: 50,
  retryBackoffMaxMs: 1_000,
} as const;

/**
 * `enqueue` returns false beyond this many unacknowledged bytes of finished batches (and beyond half
 * of `bufferBytes` in all): sockets are served only between the application's turns, so shorter
 * bursts keep the broker busy.
 */
export const ENQUEUE_HIGH_WATER_BYTES = 4 * MiB;
/** `send` calls that may wait for room in the buffer; more are refused with BufferFullError. */
export const MAX_WAITING_SENDS = 1_000_000;
/** Records in one batch; brokers accept 100,000 by default. */
export const MAX_RECORDS_PER_BATCH = 50_000;
/** Bytes of batches in one produce request; a single batch may be larger. */
export const MAX_REQUEST_BYTES = 8 * MiB;

/** What a failed delivery was about. */
export interface DeliveryFailure {
  readonly topic: string;
  readonly partition: number | undefined;
  /** How many enqueued messages it concerns. */
  readonly messageCount: number;
}

/** Options of a producer. */
export interface ProducerOptions {
  /**
   * When a message counts as delivered: `'all'` on disk, `1` appended, `0` sent. Default `'all'`.
   */
  readonly acks?: 'all' | 1 | 0 | undefined;
  /** How long a batch waits for more messages before it is sent, in ms. Default 0. */
  readonly lingerMs?: number | undefined;
  /** A batch is sent when it holds this many bytes. Default 262,144. */
  readonly batchBytes?: number | undefined;
  /** Messages that are not yet acknowledged may take this many bytes. Default 32 MiB. */
  readonly bufferBytes?: number | undefined;
  /**
   * One message may be this large. Default 8 MiB, but no more than half of `bufferBytes`, so that
   * `enqueue` finds room after it answered true. The topic's `max.message.bytes` counts too.
   */
  readonly maxMessageBytes?: number | undefined;
  /** How batches are compressed. Default `'none'`. */
  readonly compression?: CompressionName | undefined;
  /**
   * Whether the broker recognises a repeated batch, so that retries make no duplicates and keep
   * the order. Default true, except with `acks: 0`, where there is nothing to retry.
   */
  readonly idempotent?: boolean | undefined;
  /**
   * Batches under way per partition. Default (and most that the broker can de-duplicate) 5.
   * Without `idempotent`, more than 1 may change the order of messages when one is retried.
   */
  readonly maxInFlight?: number | undefined;
  /** From `send` or `enqueue` to the acknowledgement, retries included, in ms. Default 120,000. */
  readonly deliveryTimeoutMs?: number | undefined;
  /** Wait before the first retry, in ms; doubled for each further one, up to 1 s. Default 50. */
  readonly retryBackoffMs?: number | undefined;
  /** Chooses partitions. Default: murmur2 of the key as Kafka does, sticky without a key. */
  readonly partitioner?: Partitioner | undefined;
  /**
   * Told of enqueued messages that could not be delivered (they also reject the next `flush()`),
   * and of acknowledged ones that a crash of the broker's machine took (AcknowledgedLossError).
   */
  readonly onError?: ((error: MillraceError, failure: DeliveryFailure) => void) | undefined;
}

/** Options with every default filled in. */
export interface ResolvedProducerOptions {
  readonly acks: Acks;
  readonly lingerMs: number;
  readonly batchBytes: number;
  readonly bufferBytes: number;
  readonly maxMessageBytes: number;
  readonly compression: CompressionName;
  readonly idempotent: boolean;
  readonly maxInFlight: number;
  readonly deliveryTimeoutMs: number;
  readonly retryBackoff: { readonly initialMs: number; readonly maximumMs: number };
  readonly partitioner: Partitioner | undefined;
  readonly onError: ((error: MillraceError, failure: DeliveryFailure) => void) | undefined;
}

const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

const optionKeys: KeysOf<ProducerOptions> = {
  acks: true,
  lingerMs: true,
  batchBytes: true,
  bufferBytes: true,
  maxMessageBytes: true,
  compression: true,
  idempotent: true,
  maxInFlight: true,
  deliveryTimeoutMs: true,
  retryBackoffMs: true,
  partitioner: true,
  onError: true,
};

/** @throws InvalidArgumentError that names the option and what it takes. */
export function resolveProducerOptions(options: ProducerOptions = {}): ResolvedProducerOptions {
  checkKeys('producer option', options, optionKeys);
  const d = producerDefaults;
  const acks = choiceOption('acks', options.acks ?? 'all', ['all', 1, 0]);
  const idempotent = options.idempotent ?? acks !== 0;
  if (idempotent && acks === 0) {
    throw new InvalidArgumentError(
      'idempotent needs acks 1 or all: with 0 nothing is ever retried',
    );
  }
  const size = { minimum: 1, maximum: 1024 * MiB };
  const delay = { minimum: 0, maximum: 86_400_000 };
  const bufferBytes = integerOption('bufferBytes', options.bufferBytes, d.bufferBytes, size);
  const maximum = Math.min(d.maxMessageBytes, Math.max(Math.floor(bufferBytes / 2), 1));
  const initialMs = integerOption(
    'retryBackoffMs',
    options.retryBackoffMs,
    d.retryBackoffMs,
    delay,
  );
  return {
    acks: acks === 'all' ? -1 : acks,
    lingerMs: integerOption('lingerMs', options.lingerMs, d.lingerMs, delay),
    batchBytes: integerOption('batchBytes', options.batchBytes, d.batchBytes, {
      minimum: 1,
      maximum: 16 * MiB,
    }),
    bufferBytes,
    maxMessageBytes: integerOption('maxMessageBytes', options.maxMessageBytes, maximum, {
      minimum: 1,
      maximum: bufferBytes,
    }),
    compression: probeCompression(
      choiceOption('compression', options.compression ?? 'none', compressions),
    ),
    idempotent,
    maxInFlight: integerOption('maxInFlight', options.maxInFlight, d.maxInFlight, {
      minimum: 1,
      maximum: idempotent ? 5 : 1_000,
    }),
    deliveryTimeoutMs: integerOption(
      'deliveryTimeoutMs',
      options.deliveryTimeoutMs,
      d.deliveryTimeoutMs,
      { minimum: 1, maximum: 0x7fff_ffff },
    ),
    retryBackoff: { initialMs, maximumMs: Math.max(d.retryBackoffMaxMs, initialMs) },
    partitioner: options.partitioner,
    onError: options.onError,
  };
}

/** Finds out at once, and not with the first full batch, that a codec's library does not load. */
function probeCompression(compression: CompressionName): CompressionName {
  if (compression === 'none') return compression;
  try {
    const builder = new RecordBatchBuilder({ compression });
    builder.append(null, compression, null, 0);
    builder.build();
    return compression;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidArgumentError(`compression "${compression}" is not available: ${reason}`, {
      cause,
    });
  }
}
