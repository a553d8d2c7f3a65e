export { startBroker } from './broker.js';
export type { Broker, BrokerOptions } from './broker.js';
export type { BrokerConfig } from './config.js';
export type { ModeName, PersistName, ServeName } from './modes.js';
export { ConfigError, StartupError } from './startup-errors.js';
export { DataDirError } from './storage/errors.js';
export type { DataDirProblem } from './storage/errors.js';
