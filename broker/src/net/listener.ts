import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { ProtocolError } from '@millrace/protocol';
import type { Logger } from 'pino';
import { formatAddress, parseAddress } from '../config-option.js';
import type { BrokerCounters } from '../counters.js';
import { StartupError } from '../startup-errors.js';
import { errnoOf } from '../storage/errors.js';
import type { WireProtocol } from '../wire/wire-protocol.js';
import { Connection } from './connection.js';
import type { ConnectionLimits } from './connection-options.js';
import type { OutletFactory } from './outlet-factory.js';
import { ReadPool } from './read-pool.js';
import { RequestMemory } from './request-memory.js';
import { SocketReader } from './socket-reader.js';

export interface ListenerOptions<Frame> {
  /** `host:port`; port 0 takes any free one. */
  readonly listen: string;
  readonly maxConnections: number;
  /** Of one IP address. */
  readonly maxConnectionsPerAddress: number;
  /** Bytes that requests may take, of all connections together. */
  readonly maxRequestMemoryBytes: number;
  readonly limits: ConnectionLimits;
  readonly protocol: WireProtocol<Frame>;
  readonly outlets: OutletFactory;
  readonly counters: BrokerCounters;
  readonly logger: Logger;
}

/** How often requests are looked at for their deadline. */
const EXPIRE_INTERVAL_MS = 1_000;
/** A connection whose client has gone without a word is noticed by TCP keep-alive. */
const KEEP_ALIVE_DELAY_MS = 60_000;
/** Connections beyond the bound that may be told so at a time; more are dropped without a word. */
const MAX_REFUSALS = 100;

/** Connections that the kernel may hold for us to accept: a herd that comes back at once. */
const ACCEPT_BACKLOG = 4_096;

/** One TCP port that speaks one protocol. */
export class Listener<Frame> {
  readonly #server: Server;
  readonly #options: ListenerOptions<Frame>;
  readonly #connections = new Set<Connection<Frame>>();
  readonly #refusals = new Set<Socket>();
  /** Connections by IP address. */
  readonly #addresses = new Map<string, number>();
  readonly #memory: RequestMemory;
  readonly #readPool: ReadPool;
  #expiry: NodeJS.Timeout | undefined;
  #onEmpty: (() => void) | undefined;
  /** Connections waited for memory when looked at last. */
  #scarce = false;

  constructor(options: ListenerOptions<Frame>) {
    this.#options = options;
    this.#memory = new RequestMemory(options.maxRequestMemoryBytes);
    this.#readPool = new ReadPool(this.#memory, options.counters);
    // Half-open: a client may finish sending and still read the answers.
    this.#server = createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    });
    this.#server.on('connection', (socket) => {
      this.#accept(socket);
    });
  }

  /** Connections now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Memory that requests take now. */
  get requestMemoryBytes(): number {
    return this.#memory.usedBytes;
  }

  /**
   * Begins to accept; resolves to the address, with the port that was taken.
   * @throws StartupError when the address cannot be had.
   */
  async listen(): Promise<string> {
    const { listen, logger } = this.#options;
    const address = await listenOn(this.#server, listen, '--listen');
    this.#server.on('error', (error) => {
      logger.error({ err: error }, 'accepting a connection failed');
    });
    this.#expiry = setInterval(() => {
      this.expire(performance.now());
    }, EXPIRE_INTERVAL_MS).unref();
    return address;
  }

  /**
   * Stops accepting and ends all connections, each when what it has in flight is answered.
   * @param drainTimeoutMs what is open by then is cut.
   */
  async close(drainTimeoutMs: number): Promise<void> {
    clearInterval(this.#expiry);
    if (this.#server.listening) this.#server.close();
    for (const socket of this.#refusals) socket.destroy();
    for (const connection of this.#connections) connection.close();
    if (this.#connections.size === 0) return;
    const emptied = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    const cut = setTimeout(() => {
      const open = this.#connections.size;
      this.#options.logger.warn({ open }, 'drain timed out, cutting connections');
      for (const connection of this.#connections) connection.destroy();
    }, drainTimeoutMs);
    await emptied;
    clearTimeout(cut);
  }

  /**
   * Looks at the deadlines of all connections, and says so when requests have no memory. Called every
   * second.
   * @param nowMs milliseconds of `performance.now()`.
   */
  expire(nowMs: number): void {
    const { logger, maxRequestMemoryBytes } = this.#options;
    for (const connection of this.#connections) connection.expire(nowMs);
    const { usedBytes, waiting } = this.#memory;
    const wasScarce = this.#scarce;
    this.#scarce = waiting > 0;
    if (!this.#scarce || wasScarce) return;
    logger.warn(
      { usedBytes, maxRequestMemoryBytes, waiting },
      'requests take all of maxRequestMemoryBytes: some connections are not read for now',
    );
  }

  #accept(socket: Socket): void {
    const { counters, logger, limits, outlets, protocol } = this.#options;
    const problem = this.#tooMany(socket);
    if (problem !== undefined) {
      this.#refuse(socket, problem);
      return;
    }
    const address = socket.remoteAddress ?? 'unknown';
    let reader;
    let outlet;
    try {
      reader = new SocketReader(socket, this.#readPool);
      outlet = outlets.open(reader.socket);
    } catch (error) {
      logger.error({ err: error }, 'a connection could not be set up');
      (reader?.socket ?? socket).on('error', () => undefined).destroy();
      return;
    }
    const onClosed = (): void => {
      counters.connectionsOpen -= 1;
      this.#connections.delete(connection);
      this.#count(address, -1);
      logger.debug({ client: connection.remoteAddress }, 'connection closed');
      if (this.#connections.size === 0) this.#onEmpty?.();
    };
    const connection: Connection<Frame> = new Connection({
      ...{ reader, memory: this.#memory, outlet, protocol, limits, counters, logger, onClosed },
    });
    counters.connectionsAccepted += 1;
    counters.connectionsOpen += 1;
    this.#connections.add(connection);
    this.#count(address, 1);
    logger.debug({ client: connection.remoteAddress }, 'connection accepted');
  }

  #count(address: string, change: 1 | -1): void {
    const count = (this.#addresses.get(address) ?? 0) + change;
    if (count === 0) this.#addresses.delete(address);
    else this.#addresses.set(address, count);
  }

  /** Which bound one more connection would exceed. */
  #tooMany({ remoteAddress = 'unknown' }: Socket): TooMany | undefined {
    const { maxConnections, maxConnectionsPerAddress } = this.#options;
    if (this.#connections.size >= maxConnections) {
      return { bound: 'maxConnections', reason: `has all of its ${maxConnections} connections` };
    }
    if ((this.#addresses.get(remoteAddress) ?? 0) < maxConnectionsPerAddress) return undefined;
    const reason = `has all of the ${maxConnectionsPerAddress} connections of ${remoteAddress}`;
    return { bound: 'maxConnectionsPerAddress', reason };
  }

  /** Tells one client too many so, on Node's own socket: it never gets an outlet. */
  #refuse(socket: Socket, { bound, reason }: TooMany): void {
    const { counters, logger, protocol } = this.#options;
    const { remoteAddress } = socket;
    counters.connectionsRefused += 1;
    socket.on('error', () => undefined);
    if (this.#refusals.size >= MAX_REFUSALS) {
      socket.destroy();
      return;
    }
    logger.warn(
      { client: remoteAddress, [bound]: this.#options[bound] },
      `connection refused: there are as many as ${bound}`,
    );
    this.#refusals.add(socket);
    socket.on('close', () => this.#refusals.delete(socket));
    const error = new ProtocolError('OVERLOADED', `The broker ${reason}; try again later`);
    socket.resume();
    socket.end(protocol.connectionError(error), () => socket.destroySoon());
  }
}

interface TooMany {
  readonly bound: 'maxConnections' | 'maxConnectionsPerAddress';
  readonly reason: string;
}

/**
 * Binds a server to `host:port`; resolves to the address with the port that was taken.
 *
 * @param option the option to change when that fails, as in `--listen`.
 * @throws StartupError that says what is wrong with the address and what to do.
 */
export async function listenOn(server: Server, listen: string, option: string): Promise<string> {
  const address = parseAddress(listen);
  if (address === undefined) throw new StartupError(`${option} ${listen} is not host:port`);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(cannotListen(error, listen, option));
    });
    server.listen({ host: address.host, port: address.port, backlog: ACCEPT_BACKLOG }, resolve);
  });
  server.removeAllListeners('error');
  const { port } = server.address() as AddressInfo;
  return formatAddress({ host: address.host, port });
}

function cannotListen(error: Error, listen: string, option: string): StartupError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `the port is in use; stop what listens there, or choose another by ${option}`,
    EACCES: `no permission; choose a port from 1024 on by ${option}`,
    EADDRNOTAVAIL: `no network interface has this address; change ${option}`,
    ENOTFOUND: `the host name is unknown; change ${option}`,
  };
  const reason = reasons[errnoOf(error) ?? ''] ?? `${error.message}; change ${option}`;
  return new StartupError(`cannot listen on ${listen}: ${reason}`, { cause: error });
}
