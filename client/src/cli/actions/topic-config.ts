import type { TopicConfigEntry } from '../../admin-types.js';
import { quoted } from '../../util/text.js';
import type { Environment } from '../environment.js';
import { UsageError } from '../exit.js';
import { print, type JsonOption } from '../print.js';
import { table } from '../table.js';
import { withAdmin } from './session.js';

/** `millrace topic config` */
export function showConfig(
  environment: Environment,
  name: string,
  options: JsonOption,
): Promise<void> {
  return withAdmin(environment, async ({ admin, signal }) => {
    const { config } = await admin.describeTopic(name, { signal });
    print(environment, options, config, () => configTable(config));
  });
}

/** A configuration as a table. */
export function configTable(config: readonly TopicConfigEntry[]): string {
  const rows = config.map(({ key, value, source }) => [key, value, source]);
  return table(['CONFIG', 'VALUE', 'SOURCE'], rows);
}

export interface AlterOptions extends JsonOption {
  readonly set?: readonly string[];
  readonly unset?: readonly string[];
  readonly validateOnly?: boolean;
}

/** `millrace topic alter` */
export function alterConfig(
  environment: Environment,
  name: string,
  options: AlterOptions,
): Promise<void> {
  const changes = changesOf(options);
  return withAdmin(environment, async ({ admin, signal }) => {
    const { validateOnly = false } = options;
    await admin.alterConfig(name, changes, { validateOnly, signal });
    const { config } = await admin.describeTopic(name, { signal });
    print(environment, options, config, () =>
      validateOnly
        ? `The change to topic ${name} is valid; nothing was changed\n`
        : changed(name, config, Object.keys(changes)),
    );
  });
}

function changed(name: string, config: readonly TopicConfigEntry[], keys: readonly string[]) {
  const rows = config.filter(({ key }) => keys.includes(key));
  return `Changed topic ${name}\n\n${configTable(rows)}`;
}

function changesOf({ set = [], unset = [] }: AlterOptions): Record<string, string | null> {
  const changes: [string, string | null][] = set.map((text) => parseConfig(text, '--set'));
  for (const key of unset) {
    if (key.includes('=')) throw new UsageError(`--unset takes a key alone, not ${quoted(key)}`);
    changes.push([key, null]);
  }
  if (changes.length === 0) {
    throw new UsageError('nothing to change: give --set key=value or --unset key');
  }
  const keys = changes.map(([key]) => key);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw new UsageError(`${quoted(twice)} is given twice`);
  return Object.fromEntries(changes);
}

/** @throws UsageError for what is not `key=value`. */
export function parseConfig(text: string, option: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new UsageError(`${option} takes key=value, not ${quoted(text)}`);
  return [text.slice(0, at), text.slice(at + 1)];
}
