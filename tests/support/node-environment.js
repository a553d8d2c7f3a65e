import { TestEnvironment } from 'jest-environment-node';

/*
 * A worker that is done leaves at once. Node would first take all its modules and contexts apart, which
 * takes up to 0.4 s, and jest kills a worker that is not gone after 0.5 s, with a warning of handles that
 * leak. Nothing is hidden by that: a handle that is still open keeps the worker from getting here. Where
 * jest runs tests in its own process, nobody waits: all is taken apart, as the search for leaks needs it.
 */
if (process.send !== undefined) process.once('beforeExit', () => process.exit());

export { TestEnvironment as default };
