import type { StorageConfig } from '../storage-config.js';
import { MmapPersistence } from './mmap.js';
import type { Persistence, PersistName } from './persistence.js';
import { WritePersistence } from './write.js';

/** The persistence strategy of that name. */
export function choosePersistence(name: PersistName, config: StorageConfig): Persistence {
  switch (name) {
    case 'mmap':
      return new MmapPersistence(config);
    case 'write':
      return new WritePersistence(config.growStepMaxBytes);
  }
}
