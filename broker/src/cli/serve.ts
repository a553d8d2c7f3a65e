import { pino } from 'pino';
import type { Logger } from 'pino';
import { launchBroker } from '../broker.js';
import type { Broker } from '../broker.js';
import { misspeltVariables } from '../config.js';
import type { BrokerConfig } from '../config.js';
import { EXIT_FAILED } from './exit.js';
import { firstSteps } from './hint.js';

/**
 * Runs a broker until SIGTERM or SIGINT, then ends the process.
 *
 * @param hint whether to say, when it is ready, how to send the first message.
 * @throws as `startBroker`, and what keeps the broker from stopping.
 */
export async function serve(config: BrokerConfig, hint: boolean): Promise<void> {
  const logger = createLogger(config.logLevel);
  for (const warning of misspeltVariables(process.env)) logger.warn(warning);
  const stopAsked = waitForSignal(logger);
  const broker = await launchBroker(config, logger);
  announce(broker, logger);
  if (hint) process.stderr.write(firstSteps(broker.address));
  const signal = await stopAsked;
  logger.info({ signal }, 'stopping');
  await broker.close();
  logger.info('stopped');
  process.exit(0);
}

function createLogger(level: string): Logger {
  return pino({
    level,
    base: { pid: process.pid },
    formatters: { level: (label) => ({ level: label }) },
  });
}

/** The ready line is how scripts learn the ports, so it is written at any log level. */
function announce(broker: Broker, logger: Logger): void {
  const { address, httpAddress, mode, persist, serve: serveName } = broker;
  logger
    .child({}, { level: 'info' })
    .info({ listen: address, http: httpAddress ?? null, mode, persist, serve: serveName }, 'ready');
}

/** Resolves with the first SIGTERM or SIGINT; the second one ends the process at once. */
function waitForSignal(logger: Logger): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: string): void => {
      if (asked) {
        logger.warn({ signal }, 'stopping at once');
        process.exit(EXIT_FAILED);
      }
      asked = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
