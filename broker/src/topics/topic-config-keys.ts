import { parseDecimal } from '../config-option.js';
import {
  cleanupPolicies,
  MAX_SEGMENT_BYTES,
  MAX_STORED_BATCH_BYTES,
  timestampTypes,
  UNLIMITED,
} from '../storage/storage-config.js';
import type { TopicConfig } from './topic-config.js';

/** One key of a topic's config: a name of Kafka's, and what its value may be. */
export interface ConfigKey<Field extends keyof TopicConfig = keyof TopicConfig> {
  readonly key: string;
  readonly field: Field;
  /** What the value may be, as in "a whole number of ms from 1 to 1000"; used in error messages. */
  readonly takes: string;
  /** The value, or undefined when `text` is none. */
  readonly parse: (text: string) => TopicConfig[Field] | undefined;
}

/** The fields that hold a `Value`. */
type FieldsOf<Value> = {
  [Field in keyof TopicConfig]: TopicConfig[Field] extends Value ? Field : never;
}[keyof TopicConfig];
type NumberField = FieldsOf<number>;

const MIN_SEGMENT_BYTES = 4096;
const MAX_FLUSH_MS = 2 ** 31 - 1;
const GiB = 2 ** 30;
const MiB = 2 ** 20;
const ENDLESS = Number.MAX_SAFE_INTEGER;

/**
 * Every key that topics take; as in Kafka (`TopicConfig.java`), save that times and sizes are bounded by
 * what a double holds exactly.
 */
export const topicConfigKeys: readonly ConfigKey[] = [
  whole('segment.bytes', 'segmentBytes', 'bytes', MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES),
  whole('segment.ms', 'segmentMs', 'ms', 1, ENDLESS),
  whole('max.message.bytes', 'maxMessageBytes', 'bytes', 128, MAX_STORED_BATCH_BYTES),
  choice('cleanup.policy', 'cleanupPolicy', cleanupPolicies, ['delete,compact', 'compact,delete']),
  limit('retention.ms', 'retentionMs', 'ms', 'for ever'),
  limit('retention.bytes', 'retentionBytes', 'bytes', 'without a limit'),
  whole('delete.retention.ms', 'deleteRetentionMs', 'ms', 0, ENDLESS),
  whole('min.compaction.lag.ms', 'minCompactionLagMs', 'ms', 0, ENDLESS),
  limit('max.compaction.lag.ms', 'maxCompactionLagMs', 'ms', 'without a limit'),
  fraction('min.cleanable.dirty.ratio', 'minCleanableDirtyRatio'),
  choice('message.timestamp.type', 'messageTimestampType', timestampTypes),
  whole('message.timestamp.after.max.ms', 'timestampAfterMaxMs', 'ms', 0, ENDLESS),
  whole('flush.ms', 'flushMs', 'ms', 1, MAX_FLUSH_MS),
  whole('flush.bytes', 'flushBytes', 'bytes', 4096, GiB),
  whole('index.interval.bytes', 'indexIntervalBytes', 'bytes', 1024, 16 * MiB),
];

function whole(
  key: string,
  field: NumberField,
  unit: 'bytes' | 'ms',
  min: number,
  max: number,
): ConfigKey {
  return {
    key,
    field,
    takes: `a whole number of ${unit} from ${min} to ${max}`,
    parse: (text) => {
      const value = /^\d+$/.test(text) ? Number(text) : NaN;
      return Number.isSafeInteger(value) && value >= min && value <= max ? value : undefined;
    },
  };
}

/** A whole number, or -1 for no limit at all. */
function limit(
  key: string,
  field: NumberField,
  unit: 'bytes' | 'ms',
  unlimited: string,
): ConfigKey {
  const number = whole(key, field, unit, 0, ENDLESS);
  return {
    ...{ key, field, takes: `${number.takes}, or ${UNLIMITED} (${unlimited})` },
    parse: (text) => (text === String(UNLIMITED) ? UNLIMITED : number.parse(text)),
  };
}

function fraction(key: string, field: NumberField): ConfigKey {
  return {
    ...{ key, field, takes: 'a number from 0 to 1' },
    parse: (text) => {
      const value = parseDecimal(text);
      return value !== undefined && value <= 1 ? value : undefined;
    },
  };
}

/** @param synonym what is taken as another of the words, and that word. */
function choice<Word extends string>(
  key: string,
  field: FieldsOf<Word>,
  words: readonly Word[],
  synonym?: readonly [string, Word],
): ConfigKey {
  const listed = words.map((word) => `"${word}"`).join(', ');
  const parse = (text: string): Word | undefined => {
    const plain = text.replaceAll(' ', '');
    return plain === synonym?.[0] ? synonym[1] : words.find((word) => word === plain);
  };
  return { key, field, takes: `one of ${listed}`, parse } as ConfigKey;
}
