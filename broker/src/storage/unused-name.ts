import { access } from 'node:fs/promises';
import { errnoOf } from './errors.js';

/** `path`, or the first of `path.2`, `path.3` … that no file has: what is kept must not replace what was. */
export async function unusedName(path: string): Promise<string> {
  for (let i = 1; ; i += 1) {
    const name = i === 1 ? path : path.replace(/(\.cut)?$/, `.${i}$1`);
    try {
      await access(name);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return name;
      throw error;
    }
  }
}
