import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian puts daemons here, and not everybody has it in the PATH. */
const FURTHER_PATHS = ['/usr/sbin', '/usr/local/sbin'];

/** Where a program is; undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), ...FURTHER_PATHS];
  return directories
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
