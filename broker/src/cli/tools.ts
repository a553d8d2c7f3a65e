import { useNativeCrc } from '../native-crc.js';
import { EXIT_USAGE } from './exit.js';
import { say } from './output.js';
import { messageOf } from '../message-of.js';

export type ToolName = 'dump' | 'verify';

/** Each resolves to its exit code. */
const tools = {
  dump: async () => (await import('./dump.js')).dump,
  verify: async () => (await import('./verify.js')).verify,
} as const;

/** Runs a tool; resolves to the exit code: 2 also for what could not be looked at. */
export async function runTool(name: ToolName, args: readonly string[]): Promise<number> {
  try {
    const run = await tools[name]();
    useFasterSums();
    return await run(args);
  } catch (error) {
    say(messageOf(error));
    return EXIT_USAGE;
  }
}

/** What a tool says must not depend on that: the library's sums are right, and slower. */
function useFasterSums(): void {
  try {
    useNativeCrc();
  } catch (error) {
    say(messageOf(error));
  }
}
