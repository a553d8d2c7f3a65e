import { Command, CommanderError, Option } from 'commander';
import { environmentLayer, fileLayer, resolveConfig } from '../config.js';
import type { BrokerConfig, ConfigLayer } from '../config.js';
import { configTable } from '../config-table.js';
import { modeNames, persistNames, serveNames } from '../modes.js';
import { ConfigError } from '../startup-errors.js';
import { brokerVersion } from '../version.js';
import { EXIT_FAILED, EXIT_USAGE } from './exit.js';
import { commanderOutput } from './output.js';
import { messageOf } from '../message-of.js';

interface CommandLine {
  /** Settings; the keys are those of the configuration table. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly configFile: string | undefined;
  readonly hint: boolean;
}

/**
 * The command `millrace-broker`. Runs until SIGTERM or SIGINT; exits 0 after an orderly stop, 1 when
 * the broker cannot start or stop, 2 for a wrong command line or configuration. With `dump` or `verify` as
 * its first argument it is that tool. What is imported here reads the command line; the broker and the
 * tools are loaded when they run, since most of a short command's time goes into loading modules.
 *
 * @param argv as `process.argv`.
 */
export async function run(argv: readonly string[]): Promise<void> {
  const [, , tool, ...toolArguments] = argv;
  if (tool === 'dump' || tool === 'verify') {
    const { runTool } = await import('./tools.js');
    process.exitCode = await runTool(tool, toolArguments);
    return;
  }
  try {
    const commandLine = readCommandLine(argv);
    if (commandLine === undefined) return;
    const config = readConfig(commandLine);
    const { serve } = await import('./serve.js');
    await serve(config, commandLine.hint);
  } catch (error) {
    process.stderr.write(`millrace-broker: ${oneLine(error)}\n`);
    process.exit(error instanceof ConfigError ? EXIT_USAGE : EXIT_FAILED);
  }
}

/** Undefined when the command line asked for help or the version, which is done then. */
function readCommandLine(argv: readonly string[]): CommandLine | undefined {
  const command = describeCommand();
  try {
    command.parse([...argv]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const message = error.message.replace(/^error: /, '');
    throw new ConfigError(`${message}; see millrace-broker --help`, { cause: error });
  }
  const { config, hint, advertised, ...settings } = command.opts<Record<string, unknown>>();
  return {
    settings: { ...settings, advertisedListen: advertised },
    configFile: typeof config === 'string' ? config : process.env['MILLRACE_CONFIG'],
    hint: hint === true,
  };
}

/** Values are checked by the configuration table, so that a file and the environment are told alike. */
function describeCommand(): Command {
  const command = new Command('millrace-broker')
    .description('A message broker: a commit log, mapped where that pays, served by sendfile.')
    .version(brokerVersion())
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput(commanderOutput);
  const setting = (flags: string, key: keyof typeof configTable): void => {
    const { doc, defaultValue } = configTable[key];
    const fallback = defaultValue === undefined || defaultValue === '' ? '' : ` [${defaultValue}]`;
    command.addOption(new Option(flags, doc + fallback));
  };
  setting('--data-dir <dir>', 'dataDir');
  setting('--listen <host:port>', 'listen');
  setting('--advertised <host:port>', 'advertisedListen');
  setting('--http <host:port>', 'http');
  setting(`--mode <${modeNames.join('|')}>`, 'mode');
  setting(`--persist <${persistNames.join('|')}>`, 'persist');
  setting(`--serve <${serveNames.join('|')}>`, 'serve');
  setting('--segment-bytes <bytes>', 'segmentBytes');
  setting('--durability <fsync|pagecache>', 'durability');
  setting('--log-level <level>', 'logLevel');
  command.option('--config <file>', 'A JSON file with settings; also MILLRACE_CONFIG.');
  command.option('--hint', 'When ready, say on stderr how to send the first message.');
  command.addHelpText(
    'after',
    '\nEach setting is also a variable (MILLRACE_DATA_DIR) and a key of the file (dataDir).\n\n' +
      'Tools for the files of a data directory, each with its --help:\n' +
      '  millrace-broker dump FILE...   print what is in them\n' +
      '  millrace-broker verify DIR     check all of it',
  );
  return command;
}

function readConfig({ settings, configFile }: CommandLine): BrokerConfig {
  const layers: ConfigLayer[] = [];
  if (configFile !== undefined && configFile !== '') layers.push(fileLayer(configFile));
  layers.push(environmentLayer(process.env));
  layers.push({ where: (key) => `${optionName(key)} on the command line`, values: settings });
  return resolveConfig(layers);
}

/** `dataDir` → `--data-dir`. */
function optionName(key: string): string {
  if (key === 'advertisedListen') return '--advertised';
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function oneLine(error: unknown): string {
  const message = messageOf(error);
  return message.replace(/\s*\n\s*/g, ' ');
}
