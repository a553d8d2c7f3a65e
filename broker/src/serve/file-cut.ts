import type { FileRegion } from '../storage/file-region.js';

/**
 * What sending fails with when the file ends within the region, at byte `sizeBytes`. Visible bytes never
 * go away, so somebody else cut it.
 */
export function fileCut({ file, position, length }: FileRegion, sizeBytes: number): Error {
  return new Error(
    `${file.path} ends at byte ${sizeBytes}, within the stored batches from ${position} to ` +
      `${position + length}: it was cut while it was in use; restore it from a backup`,
  );
}
