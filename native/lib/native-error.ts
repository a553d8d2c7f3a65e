/**
 * What every failed system call throws or rejects with. The fields are named and signed as in
 * Node's own system errors. Using a closed file or socket, or an unmapped mapping, gives one with
 * code `EBADF`. A wrong argument is a `TypeError` (`ERR_INVALID_ARG_TYPE`) or a `RangeError`
 * (`ERR_OUT_OF_RANGE`) instead.
 */
export interface NativeError extends Error {
  /** Symbolic name, as in errno(3): `ENOSPC`, `EPIPE`, … */
  readonly code: string;
  /** Negative number, as in Node's system errors. */
  readonly errno: number;
  /** The call that failed: `fallocate`, `sendfile`, … */
  readonly syscall: string;
  /** The file it was about; absent for calls on a socket alone. */
  readonly path?: string;
}

/** True for errors of system calls, whichever realm made them (so `instanceof` is not used). */
export function isNativeError(error: unknown): error is NativeError {
  if (typeof error !== 'object' || error === null) return false;
  const { code, errno, syscall } = error as Partial<NativeError>;
  return typeof code === 'string' && typeof errno === 'number' && typeof syscall === 'string';
}
