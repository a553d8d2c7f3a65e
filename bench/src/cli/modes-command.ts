import { Command } from 'commander';
import { parseCount } from '../util/units.js';
import type { ModesOptions } from './actions/modes.js';
import { addStartOptions } from './broker-options.js';
import { addLoadOptions, addOutputOptions, parsed, timeOption } from './options.js';
import type { LoadOptions, OutputOptions } from './options.js';

/** What commands with rounds share. */
export interface RoundsOptions extends LoadOptions, OutputOptions {
  readonly rounds: number;
  readonly rateDuration: number;
}

export function addRoundsOptions(command: Command): Command {
  return addOutputOptions(
    addLoadOptions(command, { size: '1KiB', rate: 1_000, warmup: 500, acks: '1' }),
  )
    .option(
      '--rounds <n>',
      'rounds, interleaved',
      parsed((text) => parseCount(text, 1)),
      5,
    )
    .addOption(timeOption('--rate-duration <time>', 'how long the end-to-end part is', 3_000));
}

/** `modes`: the cells side by side, and what each costs its broker. */
export function modesCommand(): Command {
  return addStartOptions(addRoundsOptions(new Command('modes')))
    .description(
      'The same load on brokers of each mode, in interleaved rounds; --rate is that of the end-to-end ' +
        'part, and 0 leaves it out.',
    )
    .option(
      '--modes <list>',
      'kafka,rocketmq,classic,millrace or pairs; default: the six pairs of mmap and write, and adaptive+sendfile',
    )
    .option('--brokers <list>', 'running brokers instead: NAME=HOST:PORT/HTTPPORT,…')
    .option('--no-cold', 'do not read from disk')
    .option(
      '--reference',
      'also plain C loops, and how near the brokers come to the best of them (--batch in, --fetch out)',
      false,
    )
    .action(async (options: ModesOptions) => {
      const { modes } = await import('./actions/modes.js');
      await modes(options);
    });
}
