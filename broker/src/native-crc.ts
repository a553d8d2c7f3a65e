import { loadNative } from '@millrace/native';
import { useCrc32c } from '@millrace/protocol';

/**
 * Has the sums of this thread computed by the native module, where it is there and the processor has the
 * instructions: a quarter of what appending cost was the library's sum, at a quarter of this one's speed. Whatever
 * the filesystem can do does not matter here. Each thread calls it for itself.
 *
 * @throws Error when the module computes other sums than the library.
 */
export function useNativeCrc(): void {
  const faster = loadNative()?.crc32c;
  if (faster !== undefined) useCrc32c(faster);
}
