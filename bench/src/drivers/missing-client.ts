import { BenchError } from '../errors.js';

/** Loads a client that only comparisons need. @throws BenchError that says how to install it. */
export async function loadClient<Module>(
  name: string,
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    throw new BenchError(`the client ${name} is missing: npm install --no-save ${name}`, {
      cause: error,
    });
  }
}
