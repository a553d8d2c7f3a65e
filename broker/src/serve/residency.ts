import type { FileRegion } from '../storage/file-region.js';
import { fileCut } from './file-cut.js';
import { nativeFileOf } from './native-file.js';

/**
 * Makes sure that sending this piece of a region does not wait for the disk: sendfile(2), a page
 * fault and read(2) all block the calling thread on a cold page, and here that is everybody's
 * (KAFKA-7504 is Kafka's case of it).
 *
 * Returns undefined when the piece is in the page cache, else a promise for when it is. Where the
 * kernel cannot tell, the piece is warmed in any case: that costs a change of threads, never a stall.
 *
 * @throws Error when the file does not reach as far: what a mapping shows there is zeros, or nothing.
 */
export function warmIfCold(
  region: FileRegion,
  skip: number,
  length: number,
): Promise<void> | undefined {
  const file = nativeFileOf(region);
  const position = region.position + skip;
  const residency = file.residency(position, length);
  if (residency === 'resident') return undefined;
  if (residency === 'short') throw fileCut(region, file.size());
  return file.warm(position, length).then(() => {
    const sizeBytes = file.size();
    if (sizeBytes < position + length) throw fileCut(region, sizeBytes);
  });
}
