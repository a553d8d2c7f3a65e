import { ProtocolError } from '@millrace/protocol';
import { nearest } from '../nearest.js';
import type { LogOptions } from '../storage/log-environment.js';
import type { StorageConfig } from '../storage/storage-config.js';
import { topicConfigKeys } from './topic-config-keys.js';
import type { ConfigKey } from './topic-config-keys.js';

/** A topic's settings with the broker's defaults filled in. Keys on the wire are Kafka's names. */
export type TopicConfig = LogOptions &
  Pick<StorageConfig, 'maxMessageBytes' | 'timestampAfterMaxMs' | 'messageTimestampType'>;

/** What a topic sets itself, by Kafka's names. */
export type ConfigOverrides = Readonly<Record<string, string>>;

export type ConfigSource = 'default' | 'broker' | 'topic';

export interface ConfigEntry {
  readonly key: string;
  readonly value: string;
  readonly source: ConfigSource;
}

/** One change of a topic's settings. */
export interface ConfigChange {
  readonly key: string;
  /** Null: back to the broker's default. */
  readonly value: string | null;
}

/** Every key with what it takes, for the documentation. */
export function describeTopicConfigKeys(): readonly ConfigKey[] {
  return topicConfigKeys;
}

/**
 * The config that `overrides` makes of the broker's defaults.
 * @throws ProtocolError INVALID_CONFIG naming the key, the value and what is allowed.
 */
export function resolveTopicConfig(overrides: ConfigOverrides, broker: StorageConfig): TopicConfig {
  const values: Record<string, unknown> = {};
  for (const { field } of topicConfigKeys) values[field] = broker[field];
  for (const [key, text] of Object.entries(overrides)) {
    const known = knownKey(key);
    values[known.field] = parseValue(known, text);
  }
  // Every field of a topic has a key, and each value is the broker's or what its own key parsed.
  const config = values as unknown as TopicConfig;
  const { segmentBytes, maxMessageBytes } = config;
  if (maxMessageBytes <= segmentBytes) return config;
  // A small segment.bytes lowers the default bound on a batch, which must fit in a segment.
  if (!Object.hasOwn(overrides, 'max.message.bytes')) {
    return { ...config, maxMessageBytes: segmentBytes };
  }
  throw new ProtocolError(
    'INVALID_CONFIG',
    `max.message.bytes (${maxMessageBytes}) is larger than segment.bytes (${segmentBytes}): ` +
      'a batch must fit in a segment',
  );
}

/**
 * What a topic sets itself once `changes` are made.
 * @throws ProtocolError INVALID_CONFIG for an unknown key, or one that is changed twice.
 */
export function changeOverrides(
  overrides: ConfigOverrides,
  changes: readonly ConfigChange[],
): ConfigOverrides {
  const changed = new Map(Object.entries(overrides));
  const seen = new Set<string>();
  for (const { key, value } of changes) {
    knownKey(key);
    if (seen.has(key)) {
      throw new ProtocolError('INVALID_CONFIG', `${key} is changed twice; send one value for it`);
    }
    seen.add(key);
    if (value === null) changed.delete(key);
    else changed.set(key, value);
  }
  return Object.fromEntries(changed);
}

/** Every key with its value and where that comes from. */
export function describeTopicConfig(
  config: TopicConfig,
  overrides: ConfigOverrides,
  broker: StorageConfig,
  defaults: StorageConfig,
): readonly ConfigEntry[] {
  const sourceOf = ({ key, field }: ConfigKey): ConfigSource => {
    if (Object.hasOwn(overrides, key)) return 'topic';
    return broker[field] === defaults[field] ? 'default' : 'broker';
  };
  return topicConfigKeys.map((known) => ({
    key: known.key,
    value: String(config[known.field]),
    // A value that is neither the broker's nor the topic's own was lowered by `segment.bytes`.
    source: sourceOf(
      config[known.field] === broker[known.field] || Object.hasOwn(overrides, known.key)
        ? known
        : knownKey('segment.bytes'),
    ),
  }));
}

function knownKey(key: string): ConfigKey {
  const known = topicConfigKeys.find((candidate) => candidate.key === key);
  if (known !== undefined) return known;
  const names = topicConfigKeys.map((candidate) => candidate.key);
  const meant = nearest(key, names);
  const hint = meant === undefined ? '' : `did you mean ${meant}? `;
  throw new ProtocolError(
    'INVALID_CONFIG',
    `unknown topic config "${key}"; ${hint}known are ${names.join(', ')}`,
  );
}

function parseValue({ key, takes, parse }: ConfigKey, text: string): number | string {
  const value = parse(text);
  if (value !== undefined) return value;
  throw new ProtocolError('INVALID_CONFIG', `${key} must be ${takes}, not "${text}"`);
}
