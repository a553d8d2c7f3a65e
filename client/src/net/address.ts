import { InvalidArgumentError } from '../errors.js';
import { quoted } from '../util/text.js';
import { DEFAULT_PORT } from './default-port.js';

/** Where a broker listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `host`, `host:port` or `[ipv6]:port`; the port defaults to {@link DEFAULT_PORT}.
 *
 * @throws InvalidArgumentError
 */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new InvalidArgumentError(
      `${quoted(text)} is not the address of a broker; write host:port, such as ` +
        `127.0.0.1:${DEFAULT_PORT}`,
    );
  }
  return { host, port };
}

/** The address as people write it. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
