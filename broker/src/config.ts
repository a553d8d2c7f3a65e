import { readFileSync } from 'node:fs';
import type { ConfigOption } from './config-option.js';
import { configTable, type ConfigKey } from './config-table.js';
import { nearest } from './nearest.js';
import { ConfigError } from './startup-errors.js';
import { messageOf } from './message-of.js';

type ValueOf<Option> = Option extends ConfigOption<infer Value> ? Value : never;

/** Every setting of a broker, validated. Units are in the names; {@link configTable} has the docs. */
export type BrokerConfig = {
  readonly [Key in ConfigKey]: ValueOf<(typeof configTable)[Key]>;
};

/** Settings from one place, and how to name that place to people. */
export interface ConfigLayer {
  /** The place of one key, as in `MILLRACE_LISTEN in the environment`. */
  readonly where: (key: string) => string;
  /** Keys as in {@link configTable}; undefined values say nothing. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** The lengths that a frame begins with. */
const FRAME_LENGTHS_BYTES = 8;
const ENVIRONMENT_PREFIX = 'MILLRACE_';
const keys = Object.keys(configTable) as readonly ConfigKey[];
/** Variables of the broker that are no settings: the file to read, and the switch of the native module. */
const otherVariables = [`${ENVIRONMENT_PREFIX}CONFIG`, `${ENVIRONMENT_PREFIX}NO_NATIVE`] as const;

/**
 * The configuration out of the defaults and `layers`, later ones winning.
 *
 * @throws ConfigError for an unknown key, a value out of range, or values that contradict each other.
 */
export function resolveConfig(layers: readonly ConfigLayer[]): BrokerConfig {
  const config: Record<string, unknown> = {};
  for (const key of keys) config[key] = configTable[key].defaultValue;
  for (const layer of layers) {
    for (const [key, raw] of Object.entries(layer.values)) {
      if (raw === undefined) continue;
      if (!isConfigKey(key)) throw unknownKey(key, layer);
      const option: ConfigOption<unknown> = configTable[key];
      const value = option.parse(raw);
      if (value === undefined) {
        throw new ConfigError(`${layer.where(key)} is ${show(raw)}; it must be ${option.expected}`);
      }
      config[key] = value;
    }
  }
  // Every key of the table has been filled with what its own option parsed.
  return checkTogether(config as BrokerConfig);
}

/**
 * The settings of a JSON file: one object with the keys of {@link configTable}.
 *
 * @throws ConfigError when the file cannot be read or is not such an object.
 */
export function fileLayer(path: string): ConfigLayer {
  let values: unknown;
  try {
    values = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = messageOf(error);
    throw new ConfigError(`cannot read the configuration file ${path}: ${reason}`, {
      cause: error,
    });
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new ConfigError(`the configuration file ${path} must hold one JSON object`);
  }
  return {
    where: (key) => `${key} in ${path}`,
    values: values as Readonly<Record<string, unknown>>,
  };
}

/** The settings of `MILLRACE_…` variables; `MILLRACE_DATA_DIR` is `dataDir`. Empty ones are unset. */
export function environmentLayer(environment: NodeJS.ProcessEnv): ConfigLayer {
  const values: Record<string, unknown> = {};
  for (const key of keys) {
    const value = environment[environmentName(key)];
    if (value !== undefined && value !== '') values[key] = value;
  }
  return { where: (key) => `${environmentName(key)} in the environment`, values };
}

/**
 * Variables that look like settings and are none: probably misspelt. Others (`MILLRACE_BROKER` is the
 * client's) are nobody's business here.
 */
export function misspeltVariables(environment: NodeJS.ProcessEnv): readonly string[] {
  const known = new Set([...keys.map(environmentName), ...otherVariables]);
  return Object.keys(environment)
    .filter((name) => name.startsWith(ENVIRONMENT_PREFIX) && !known.has(name))
    .flatMap((name) => {
      const meant = nearest(name, [...known], ENVIRONMENT_PREFIX.length);
      return meant === undefined ? [] : [`${name} is not a setting; did you mean ${meant}?`];
    });
}

/** `maxFrameBytes` → `MILLRACE_MAX_FRAME_BYTES`. */
export function environmentName(key: string): string {
  return ENVIRONMENT_PREFIX + key.replace(/[A-Z]/g, '_$&').toUpperCase();
}

/** Rules that hold between settings. */
function checkTogether(config: BrokerConfig): BrokerConfig {
  const atMost = (smaller: ConfigKey, larger: ConfigKey): void => {
    const [low, high] = [config[smaller], config[larger]];
    if (typeof low !== 'number' || typeof high !== 'number' || low <= high) return;
    throw new ConfigError(
      `${smaller} (${low}) must not be larger than ${larger} (${high}); change one of them`,
    );
  };
  atMost('maxHeaderBytes', 'maxFrameBytes');
  atMost('groupMinSessionTimeoutMs', 'groupMaxSessionTimeoutMs');
  const { maxFrameBytes, maxHeaderBytes, maxMessageBytes } = config;
  const largestBytes = largestBatchBytes(config);
  if (maxMessageBytes > largestBytes) {
    throw new ConfigError(
      `maxMessageBytes (${maxMessageBytes}) must not be larger than ${largestBytes}, what fits into a ` +
        `frame: maxFrameBytes (${maxFrameBytes}) less maxHeaderBytes (${maxHeaderBytes}) and ` +
        `${FRAME_LENGTHS_BYTES}; change one of them`,
    );
  }
  return config;
}

/** The largest batch that a request can carry, whatever its header. */
export function largestBatchBytes(
  config: Pick<BrokerConfig, 'maxFrameBytes' | 'maxHeaderBytes'>,
): number {
  return config.maxFrameBytes - config.maxHeaderBytes - FRAME_LENGTHS_BYTES;
}

function isConfigKey(key: string): key is ConfigKey {
  return Object.hasOwn(configTable, key);
}

function unknownKey(key: string, layer: ConfigLayer): ConfigError {
  const meant = nearest(key, keys);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  return new ConfigError(`${layer.where(key)} is not a setting${hint}`);
}

function show(raw: unknown): string {
  return JSON.stringify(raw);
}
