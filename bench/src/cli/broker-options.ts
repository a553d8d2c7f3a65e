import type { Command } from 'commander';
import { sizeOption } from './options.js';

export const DEFAULT_BROKER = '127.0.0.1:7070';

/** Whom to load: one that runs, or one that is started for it. */
export interface BrokerOptions {
  readonly broker?: string;
  readonly http?: string;
  readonly start: boolean;
  readonly cold: boolean;
  readonly mode?: string;
  readonly persist?: string;
  readonly serve?: string;
  readonly durability?: string;
  readonly segmentBytes?: number;
  readonly dataDir?: string;
}

export function addBrokerOptions(command: Command): Command {
  return addStartOptions(
    command
      .option('-b, --broker <host:port>', `a running broker [${DEFAULT_BROKER}; MILLRACE_BROKER]`)
      .option('--http <host:port>', "that broker's HTTP address, to tell what the load cost it")
      .option('--start', 'start a broker for this load, and remove it', false)
      .option('--cold', 'start one, and read what is not in the page cache', false)
      .option('--mode <name>', '--start: millrace, kafka, rocketmq or classic')
      .option('--persist <name>', '--start: adaptive, mmap or write')
      .option('--serve <name>', '--start: sendfile, mmap or copy'),
  );
}

/** How brokers are started, whatever their mode. */
export function addStartOptions(command: Command): Command {
  return command
    .option('--durability <name>', 'started brokers: fsync or pagecache')
    .addOption(sizeOption('--segment-bytes <size>', 'started brokers: size of a segment'))
    .option('--data-dir <dir>', 'started brokers: where their data directories are made');
}
