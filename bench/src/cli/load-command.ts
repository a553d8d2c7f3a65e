import { Command } from 'commander';
import type { Kind, KindOptions } from './actions/load.js';
import { addBrokerOptions } from './broker-options.js';
import { addLoadOptions, addOutputOptions, sizeOption, timeOption } from './options.js';

const about: Readonly<Record<Kind, string>> = {
  produce: 'Load a broker with messages.',
  consume: 'Read as fast as it goes; what there is to read is produced before.',
  e2e: 'Produce and consume at a time, and tell how long messages take.',
};

/** `produce`, `consume` and `e2e`. */
export function loadCommand(kind: Kind): Command {
  const command = addOutputOptions(addBrokerOptions(addLoadOptions(new Command(kind))));
  command.description(about[kind]);
  if (kind === 'consume') {
    command.addOption(sizeOption('--fill <size>', 'what is produced first', 256 * 2 ** 20));
  } else {
    command
      .option('--find-max-rate', 'look for the highest rate that is held')
      .addOption(timeOption('--max-p99 <time>', 'held: with a p99 of at most this', 100));
  }
  return command.action(async (options: KindOptions) => {
    const { load } = await import('./actions/load.js');
    await load(kind, options);
  });
}
