import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const command = fileURLToPath(new URL('../../../broker/bin/millrace-broker.js', import.meta.url));

/**
 * Has `millrace-broker verify` look at the data directory of a broker that was stopped.
 *
 * @throws Error with all that it says, unless it finds everything in order
 */
export function expectSound(dataDir: string): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, 'verify', dataDir], {
    encoding: 'utf8',
  });
  if (status === 0) return;
  throw new Error(`verify ${dataDir} ended with ${String(status)}:\n${stdout}${stderr}`);
}
