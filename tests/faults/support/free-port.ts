import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below what the kernel gives to outgoing connections. */
const FIRST_PORT = 12_000;
const PORTS = 18_000;

/**
 * A port of 127.0.0.1 that is free, and stays so while nobody listens there: one from the kernel's own range
 * could become the source port of a client that dials a broker which is down, and then the broker could
 * not take it back.
 */
export async function freePort(random: () => number): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(random() * PORTS);
    const server = createServer();
    server.listen({ host: '127.0.0.1', port });
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}
