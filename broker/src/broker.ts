import { loadNative, nativeProblem } from '@millrace/native';
import type { Native } from '@millrace/native';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { resolveConfig } from './config.js';
import type { BrokerConfig } from './config.js';
import { BrokerCounters } from './counters.js';
import { prepareDataDir, probeDataDir } from './data-dir.js';
import { connectionsThatFit, openFilesLimit } from './descriptor-limit.js';
import { openGroups } from './groups/open-groups.js';
import { createHandlers } from './handlers/dispatch-table.js';
import { healthOf } from './http/health.js';
import type { BrokerState } from './http/health.js';
import type { MetricSources } from './http/metrics.js';
import { chooseStrategies } from './modes.js';
import type { ModeName, PersistName, ServeName, StrategyChoice } from './modes.js';
import { useNativeCrc } from './native-crc.js';
import { Listener } from './net/listener.js';
import { outletFactory } from './net/outlet-factory.js';
import { openStorage } from './storage/open.js';
import type { Storage } from './storage/open.js';
import { NativeProtocol } from './wire/native-protocol.js';

/** Settings of a broker in this process; what is not given has its default. */
export interface BrokerOptions extends Partial<BrokerConfig> {
  /** Default: silent. */
  readonly logger?: Logger;
}

/** A running broker. */
export interface Broker {
  /** `host:port` for clients, with the port that was taken. */
  readonly address: string;
  /** `host:port` of /metrics, /healthz and /readyz; undefined when they are off. */
  readonly httpAddress: string | undefined;
  readonly clusterId: string;
  readonly config: BrokerConfig;
  readonly mode: ModeName;
  readonly persist: PersistName;
  readonly serve: ServeName;
  /**
   * Stops accepting, answers what is in flight (for `drainTimeoutMs` at most), closes the storage with
   * its clean-stop marker. Idempotent.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a broker in this process, as the command does, but without HTTP and logs unless asked for.
 * Several can run at a time, each on its own data directory.
 *
 * @throws ConfigError for settings that are not valid or that this machine cannot run.
 * @throws StartupError or DataDirError when the port or the data directory cannot be had.
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const { logger, ...values } = options;
  const config = resolveConfig([
    { where: (key) => key, values: { http: 'off' } },
    { where: (key) => `${key} in the options of startBroker`, values },
  ]);
  return launchBroker(config, logger ?? pino({ level: 'silent' }));
}

/** Starts a broker with a whole configuration; otherwise as {@link startBroker}. */
export async function launchBroker(config: BrokerConfig, logger: Logger): Promise<Broker> {
  const stops = new StopList();
  try {
    return await compose(config, logger, stops);
  } catch (error) {
    await stops.run();
    throw error;
  }
}

/** The composition root: each step may use those before it, and they stop in reverse. */
async function compose(config: BrokerConfig, logger: Logger, stops: StopList): Promise<Broker> {
  let state: BrokerState = 'starting';
  const running: { storage?: Storage; metrics?: MetricSources } = {};
  const counters = new BrokerCounters();
  const dataDir = prepareDataDir(config.dataDir);
  const { native, mode, persist, serve } = decideStrategies(config, dataDir, logger);
  useNativeCrc();

  let httpAddress: string | undefined;
  if (config.http !== 'off') {
    const { HttpServer } = await import('./http/http-server.js');
    const http = new HttpServer({
      listen: config.http,
      maxConnections: config.maxHttpConnections,
      health: () => healthOf(state, running.storage),
      metricSources: () => running.metrics,
      logger,
    });
    httpAddress = await http.listen();
    stops.add(() => http.close());
  }

  const opened = await openStorage({ dataDir, persist, native, logger, config });
  running.storage = opened;
  stops.add(() => opened.close());

  const groups = await openGroups({ storage: opened, config, logger });
  stops.add(() => groups.close());
  const { maxMetricSeries: maxSeries } = config;
  running.metrics = { counters, storage: opened, groups: groups.coordinator, native, maxSeries };

  const outlets = outletFactory(serve, native, config.maxReadMappings);
  stops.add(() => {
    outlets.close();
  });

  const { maxFrameBytes, maxHeaderBytes, maxRequestMemoryBytes, drainTimeoutMs } = config;
  const protocol = new NativeProtocol({
    handlers: createHandlers({
      ...{ storage: opened, groups: groups.coordinator, config, counters, logger },
      about: { mode, persist, serve, startedAtMs: Date.now() },
    }),
    frameLimits: { maxFrameBytes, maxHeaderBytes },
    counters,
    logger,
  });

  const perConnection = native === undefined ? 1 : 2;
  const maxConnections = connectionsThatFit(config, openFilesLimit(), perConnection, logger);
  const listener = new Listener({
    ...{ listen: config.listen, maxConnections, maxRequestMemoryBytes, limits: config },
    maxConnectionsPerAddress: config.maxConnectionsPerAddress,
    ...{ protocol, outlets, counters, logger },
  });
  const address = await listener.listen();
  stops.add(() => listener.close(drainTimeoutMs));

  state = 'ready';
  stops.add(() => {
    state = 'stopping';
  });
  const close = (): Promise<void> => stops.run();
  const { clusterId } = opened;
  return {
    ...{ address, httpAddress, clusterId, config, mode, persist, serve, close },
    [Symbol.asyncDispose]: close,
  };
}

/** Settles how to persist and to serve, with what this machine and its filesystem can do. */
function decideStrategies(config: BrokerConfig, dataDir: string, logger: Logger): StrategyChoice {
  const module: Native | undefined = loadNative();
  const choice = chooseStrategies(config, {
    native: module && { module, probe: probeDataDir(dataDir, module) },
    problem: nativeProblem(),
    dataDir,
  });
  if (choice.warning !== undefined) logger.warn(choice.warning);
  return choice;
}

/** What to stop, in the reverse order of its start. */
class StopList {
  #steps: (() => void | Promise<void>)[] = [];
  #running: Promise<void> | undefined;

  add(step: () => void | Promise<void>): void {
    this.#steps.push(step);
  }

  /** Runs every step once, also after one that failed; then throws the first failure. */
  run(): Promise<void> {
    this.#running ??= this.#runAll();
    return this.#running;
  }

  async #runAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
