import { StartedBroker } from '../../broker/started-broker.js';
import { BenchError } from '../../errors.js';
import { DEFAULT_BROKER } from '../broker-options.js';
import type { BrokerOptions } from '../broker-options.js';
import { makeDirectory, removeDirectory } from '../data-dir.js';

/** Further arguments of `millrace-broker`. */
export function brokerArguments(
  options: Partial<
    Pick<BrokerOptions, 'mode' | 'persist' | 'serve' | 'durability' | 'segmentBytes'>
  >,
): readonly string[] {
  const { durability, mode, persist, segmentBytes, serve } = options;
  const given = { mode, persist, serve, durability, 'segment-bytes': segmentBytes };
  return Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
}

/** A broker to load. */
export interface Target {
  readonly address: string;
  /** Undefined: what the load costs it is not known. */
  readonly httpAddress: string | undefined;
  readonly started: StartedBroker | undefined;
}

/** Runs `work` with the broker that the options name; one that was started for it is removed. */
export async function withTarget<Result>(
  options: BrokerOptions,
  work: (target: Target) => Promise<Result>,
): Promise<Result> {
  const { broker, cold, http } = options;
  const start = options.start || cold;
  if (start && broker !== undefined) {
    throw new BenchError(
      `${cold ? '--cold restarts the broker' : '--start starts a broker'}, and does that with one ` +
        'of its own: leave out --broker',
    );
  }
  if (!start) {
    const strategies = [
      'mode',
      'persist',
      'serve',
      'durability',
      'segmentBytes',
      'dataDir',
    ] as const;
    const own = strategies.find((key) => options[key] !== undefined);
    if (own !== undefined) {
      const flag = own.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      throw new BenchError(`--${flag} is for a broker that is started here: add --start`);
    }
    const address = broker ?? process.env['MILLRACE_BROKER'] ?? DEFAULT_BROKER;
    return work({ address, httpAddress: http, started: undefined });
  }
  const dataDir = await makeDirectory(options.dataDir);
  try {
    const started = await StartedBroker.start({ dataDir, args: brokerArguments(options) });
    try {
      return await work({ ...addressesOf(started), started });
    } finally {
      await started.stop();
    }
  } finally {
    removeDirectory(dataDir);
  }
}

export function addressesOf(started: StartedBroker): Pick<Target, 'address' | 'httpAddress'> {
  return { address: started.address, httpAddress: started.httpAddress };
}
