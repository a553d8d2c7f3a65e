export * from './bytes.js';
export * from './errors.js';
export * from './frame.js';
export * from './groups/consumer-protocol.js';
export * from './header.js';
export { prescanHeader } from './header-scan.js';
export * from './limits.js';
export * from './messages/index.js';
export * from './records/index.js';
