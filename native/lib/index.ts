export { loadNative, nativeProblem } from './loader.js';
export { isNativeError } from './native-error.js';
export type { NativeError } from './native-error.js';
export type { DirectoryProbe, Native, OpenFlags } from './native.js';
export type { ByteRange, NativeFile, Residency } from './native-file.js';
export { HUGE_PAGE_BYTES } from './mapping.js';
export type { Mapping, MappingAccess } from './mapping.js';
export type { SocketWriter } from './socket-writer.js';
export type { NativeCounters, SyscallCount, SyscallKind } from './native-counters.js';
