import type { StorageConfig } from '../storage-config.js';
import { AdaptivePersistence } from './adaptive.js';
import { MmapPersistence } from './mmap.js';
import type { Persistence, PersistName } from './persistence.js';
import type { GrowthListener } from './preallocation.js';
import { WritePersistence } from './write.js';

/** The persistence strategy of that name. */
export function choosePersistence(
  name: PersistName,
  config: StorageConfig,
  onGrowth?: GrowthListener,
): Persistence {
  switch (name) {
    case 'adaptive':
      return new AdaptivePersistence(config, undefined, onGrowth);
    case 'mmap':
      return new MmapPersistence(config, undefined, onGrowth);
    case 'write':
      return new WritePersistence(config.growStepMaxBytes, onGrowth);
  }
}
