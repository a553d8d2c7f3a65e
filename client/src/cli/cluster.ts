import { Command } from 'commander';
import type { Environment } from './environment.js';
import type { JsonOption } from './print.js';

/** `millrace cluster info` */
export function clusterCommand(environment: Environment): Command {
  const cluster = new Command('cluster').description('show the cluster');
  cluster
    .command('info')
    .description('show the brokers, how they run, and how much they hold')
    .option('--json', 'print JSON')
    .action(async (options: JsonOption) => {
      const { clusterInfo } = await import('./actions/cluster.js');
      await clusterInfo(environment, options);
    });
  return cluster;
}
