import { readFileSync } from 'node:fs';

/** How the broker calls itself towards clients. */
export const SOFTWARE_NAME = 'millrace';

let version: string | undefined;

/** The version of this package, out of its package.json. */
export function brokerVersion(): string {
  if (version === undefined) {
    const path = new URL('../package.json', import.meta.url);
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string };
    version = manifest.version;
  }
  return version;
}
