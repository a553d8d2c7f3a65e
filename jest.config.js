import { availableParallelism } from 'node:os';

/** Tests run the TypeScript sources as ES modules; the end-to-end ones also start the built commands. */
const config = {
  testEnvironment: '<rootDir>/tests/support/node-environment.js',
  roots: ['<rootDir>/tests'],
  testMatch: ['**/*.test.ts'],
  // These need a Docker engine and have a configuration of their own: npm run test:docker.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/tests/docker/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: {
    '^@millrace/(protocol|broker|client)$': '<rootDir>/$1/src/index.ts',
    '^@millrace/protocol/limits$': '<rootDir>/protocol/src/limits.ts',
    '^@millrace/native$': '<rootDir>/native/lib/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  testTimeout: 60_000,
  // In processes of their own, begun anew when they have grown: modules of a suite are never collected.
  maxWorkers: Math.max(2, Math.floor(availableParallelism() / 2)),
  workerIdleMemoryLimit: '600MB',
};

export { config, config as default };
