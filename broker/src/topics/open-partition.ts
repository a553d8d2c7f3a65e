import { ProtocolError } from '@millrace/protocol';
import { storageFailure } from '../storage/errors.js';
import { Log } from '../storage/log.js';
import type { LogEnvironment } from '../storage/log-environment.js';
import { recoverLog } from '../storage/recovery.js';
import type { Partition } from './partition.js';
import type { TopicConfig } from './topic-config.js';

/**
 * Opens a partition's log, recovering it after an unclean stop. What cannot be opened is reported and
 * takes that one partition offline: the broker starts, and the others serve.
 */
export async function openPartition(
  partition: Partition,
  directory: string,
  cleanStop: boolean,
  environment: LogEnvironment,
  config: TopicConfig,
): Promise<void> {
  try {
    const state = await recoverLog(partition.name, directory, cleanStop, environment, config);
    const onChange = (): void => partition.notify();
    partition.attach(new Log(partition.name, directory, state, environment, config, onChange));
  } catch (error) {
    const problem =
      error instanceof ProtocolError
        ? new ProtocolError(error.errorName, `${partition.name}: ${error.message}`, {
            cause: error,
          })
        : storageFailure(`open ${partition.name} in ${directory}`, error);
    environment.logger.error({ err: error, partition: partition.name }, problem.message);
    partition.refuse(problem);
  }
}
