import { ProtocolError } from '@millrace/protocol';
import { MAX_SEGMENT_BYTES, MAX_STORED_BATCH_BYTES } from '../storage/storage-config.js';
import type { StorageConfig } from '../storage/storage-config.js';

/** A topic's settings with the broker's defaults filled in. Keys on the wire are Kafka's names. */
export interface TopicConfig {
  readonly segmentBytes: number;
  readonly maxMessageBytes: number;
  readonly flushMs: number;
  readonly flushBytes: number;
  readonly indexIntervalBytes: number;
  readonly timestampAfterMaxMs: number;
}

export type ConfigSource = 'default' | 'broker' | 'topic';

export interface ConfigEntry {
  readonly key: string;
  readonly value: string;
  readonly source: ConfigSource;
}

/** What one key takes. */
export interface ConfigKey {
  readonly key: string;
  readonly field: keyof TopicConfig;
  readonly min: number;
  readonly max: number;
  readonly unit: 'bytes' | 'ms';
}

const MIN_SEGMENT_BYTES = 4096;
const MAX_MS = 2 ** 31 - 1;

/** Every key that `createTopics` takes. */
const configKeys: readonly ConfigKey[] = [
  {
    key: 'segment.bytes',
    field: 'segmentBytes',
    min: MIN_SEGMENT_BYTES,
    max: MAX_SEGMENT_BYTES,
    unit: 'bytes',
  },
  {
    key: 'max.message.bytes',
    field: 'maxMessageBytes',
    min: 128,
    max: MAX_STORED_BATCH_BYTES,
    unit: 'bytes',
  },
  { key: 'flush.ms', field: 'flushMs', min: 1, max: MAX_MS, unit: 'ms' },
  {
    key: 'flush.bytes',
    field: 'flushBytes',
    min: 4096,
    max: 1024 * 1024 * 1024,
    unit: 'bytes',
  },
  {
    key: 'index.interval.bytes',
    field: 'indexIntervalBytes',
    min: 1024,
    max: 16 * 1024 * 1024,
    unit: 'bytes',
  },
  {
    key: 'message.timestamp.after.max.ms',
    field: 'timestampAfterMaxMs',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'ms',
  },
];

/** Every key with its range, for the documentation. */
export function describeTopicConfigKeys(): readonly ConfigKey[] {
  return configKeys;
}

/**
 * The config that `overrides` makes of the broker's defaults.
 * @throws ProtocolError INVALID_CONFIG naming the key, the value and what is allowed.
 */
export function resolveTopicConfig(
  overrides: Readonly<Record<string, string>>,
  broker: StorageConfig,
): TopicConfig {
  const values: Partial<Record<keyof TopicConfig, number>> = {};
  for (const [key, text] of Object.entries(overrides)) {
    const known = configKeys.find((candidate) => candidate.key === key);
    if (known === undefined) {
      const names = configKeys.map((candidate) => candidate.key).join(', ');
      throw new ProtocolError(
        'INVALID_CONFIG',
        `unknown topic config "${key}"; known are ${names}`,
      );
    }
    values[known.field] = parseValue(known, text);
  }
  const segmentBytes = values.segmentBytes ?? broker.segmentBytes;
  const config: TopicConfig = {
    segmentBytes,
    // A small segment.bytes lowers the default bound on a batch, which must fit in a segment.
    maxMessageBytes: values.maxMessageBytes ?? Math.min(broker.maxMessageBytes, segmentBytes),
    flushMs: values.flushMs ?? broker.flushMs,
    flushBytes: values.flushBytes ?? broker.flushBytes,
    indexIntervalBytes: values.indexIntervalBytes ?? broker.indexIntervalBytes,
    timestampAfterMaxMs: values.timestampAfterMaxMs ?? broker.timestampAfterMaxMs,
  };
  if (config.maxMessageBytes > config.segmentBytes) {
    throw new ProtocolError(
      'INVALID_CONFIG',
      `max.message.bytes (${config.maxMessageBytes}) is larger than segment.bytes ` +
        `(${config.segmentBytes}): a batch must fit in a segment`,
    );
  }
  return config;
}

/** Every key with its value and where that comes from. */
export function describeTopicConfig(
  config: TopicConfig,
  overrides: Readonly<Record<string, string>>,
  broker: StorageConfig,
  defaults: StorageConfig,
): readonly ConfigEntry[] {
  return configKeys.map(({ key, field }) => ({
    key,
    value: String(config[field]),
    source: Object.hasOwn(overrides, key)
      ? 'topic'
      : broker[field] === defaults[field]
        ? 'default'
        : 'broker',
  }));
}

function parseValue({ key, min, max, unit }: ConfigKey, text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw new ProtocolError(
    'INVALID_CONFIG',
    `${key} must be a whole number of ${unit} from ${min} to ${max}, not "${text}"`,
  );
}
