import { fileURLToPath } from 'node:url';
import { config as base } from '../../jest.config.js';

/** The tests that need a Docker engine; `npm run test:docker` starts them. */
const config = {
  ...base,
  rootDir: fileURLToPath(new URL('../..', import.meta.url)),
  roots: ['<rootDir>/tests/docker'],
  testPathIgnorePatterns: ['/node_modules/'],
  // Only ends what hangs: some engines copy a whole image for each container.
  testTimeout: 600_000,
};

export { config as default };
