import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import type { BrokerConfig } from './config.js';

/** Active segments, the listeners, logs, and what Node itself has open. */
const OTHER_DESCRIPTORS = 100;

/**
 * How many files and sockets this process may have open (`RLIMIT_NOFILE`, see getrlimit(2)); Node
 * raises it to what the system lets it. Undefined where it is not known or has no bound.
 */
export function openFilesLimit(limitsFile = '/proc/self/limits'): number | undefined {
  let text: string;
  try {
    text = readFileSync(limitsFile, 'utf8');
  } catch {
    return undefined;
  }
  const soft = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/**
 * `maxConnections`, or what the process has descriptors for where that is less: then one more would be
 * an EMFILE, which also keeps segments from being opened. Logs a warning in that case.
 *
 * @param perConnection descriptors of one: its socket, and the duplicate that the native module writes to.
 * @returns at least 1.
 */
export function connectionsThatFit(
  config: Pick<BrokerConfig, 'maxConnections' | 'maxOpenSegmentFiles'>,
  limit: number | undefined,
  perConnection: 1 | 2,
  logger: Pick<Logger, 'warn'>,
): number {
  const { maxConnections, maxOpenSegmentFiles } = config;
  const others = maxOpenSegmentFiles + OTHER_DESCRIPTORS;
  const needed = maxConnections * perConnection + others;
  if (limit === undefined || needed <= limit) return maxConnections;
  const fitting = Math.max(1, Math.floor((limit - others) / perConnection));
  logger.warn(
    { openFilesLimit: limit, needed, maxConnections, maxOpenSegmentFiles },
    `this process may open ${limit} files, but ${maxConnections} connections and ` +
      `${maxOpenSegmentFiles} segments take up to ${needed}: taking ${fitting} connections at most; ` +
      'raise the limit (ulimit -n, LimitNOFILE of systemd), or lower maxConnections',
  );
  return fitting;
}
