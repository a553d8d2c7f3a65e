import type { Command } from 'commander';
import type { TopicConfigEntry } from '../admin-types.js';
import { quoted } from '../util/text.js';
import { withSession, type Environment } from './environment.js';
import { UsageError } from './exit.js';
import { collect } from './parse.js';
import { print, type JsonOption } from './print.js';
import { table } from './table.js';

/** `millrace topic config` and `alter` */
export function addConfigCommands(topic: Command, environment: Environment): void {
  topic
    .command('config')
    .description('show the configuration of a topic, and where each value comes from')
    .argument('<topic>')
    .option('--json', 'print JSON')
    .action((name: string, options: JsonOption) =>
      withSession(environment, async ({ client, signal }) => {
        const { config } = await client.admin.describeTopic(name, { signal });
        print(environment, options, config, () => configTable(config));
      }),
    );
  addAlter(topic, environment);
}

/** A configuration as a table. */
export function configTable(config: readonly TopicConfigEntry[]): string {
  const rows = config.map(({ key, value, source }) => [key, value, source]);
  return table(['CONFIG', 'VALUE', 'SOURCE'], rows);
}

interface AlterOptions extends JsonOption {
  readonly set?: readonly string[];
  readonly unset?: readonly string[];
  readonly validateOnly?: boolean;
}

function addAlter(topic: Command, environment: Environment): void {
  topic
    .command('alter')
    .description('change the configuration of a topic; it applies at once')
    .argument('<topic>')
    .option('-s, --set <key=value...>', 'a value to set, such as retention.ms=86400000', collect)
    .option('-u, --unset <key...>', "a key that goes back to the broker's default", collect)
    .option('--validate-only', 'check the change, and change nothing')
    .option('--json', 'print the configuration that results as JSON')
    .addHelpText(
      'after',
      '\nAll changes are made, or none. `millrace topic config TOPIC` shows keys and values.',
    )
    .action((name: string, options: AlterOptions) => {
      const changes = changesOf(options);
      return withSession(environment, async ({ client: { admin }, signal }) => {
        const { validateOnly = false } = options;
        await admin.alterConfig(name, changes, { validateOnly, signal });
        const { config } = await admin.describeTopic(name, { signal });
        print(environment, options, config, () =>
          validateOnly
            ? `The change to topic ${name} is valid; nothing was changed\n`
            : changed(name, config, Object.keys(changes)),
        );
      });
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
