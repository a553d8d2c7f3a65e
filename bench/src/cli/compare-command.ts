import { Command } from 'commander';
import { driverNames } from '../drivers/driver.js';
import type { CompareOptions } from './actions/compare.js';
import { addStartOptions } from './broker-options.js';
import { addRoundsOptions } from './modes-command.js';

/** `compare`: the same load on other brokers. */
export function compareCommand(): Command {
  return addStartOptions(addRoundsOptions(new Command('compare')))
    .description(
      'The same load on millrace and on others, in interleaved rounds. Not pinned to cores: server ' +
        'and generator share what there is.',
    )
    .option('--drivers <list>', `of ${driverNames.join(',')}; default: those that can be had here`)
    .option('--kafka <host:port>', 'a broker of Kafka that runs')
    .action(async (options: CompareOptions) => {
      const { compare } = await import('./actions/compare.js');
      await compare(options);
    });
}
