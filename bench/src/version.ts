import { readFileSync } from 'node:fs';

/** The version of this package, out of its package.json. */
export function benchVersion(): string {
  const path = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
}
