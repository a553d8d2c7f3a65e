import type { Socket } from 'node:net';
import { ProtocolError } from '@millrace/protocol';
import type { ConnectionContext, RequestContext, Wait } from '../handlers/context.js';
import { ConnectionFatalError } from '../handlers/handler.js';
import { errnoOf } from '../storage/errors.js';
import type { WireDecoder, WireProtocol } from '../wire/wire-protocol.js';
import type { ConnectionOptions } from './connection-options.js';
import { OutboundQueue, releaseParts } from './outbound-queue.js';
import { release } from './socket-reader.js';
import type { Lease } from './socket-reader.js';

/** A request that has come, and the memory that it lies in. */
interface Received<Frame> {
  readonly frame: Frame;
  readonly lease: Lease;
}

/** A request under way. */
interface Exchange<Frame> extends RequestContext {
  readonly frame: Frame;
  /** Answered, also by a timeout: what comes later is dropped. */
  answered: boolean;
}

/**
 * How long the end of an orderly close waits for the client to close its side. Closing with bytes
 * unread would reset the connection, and the client could lose the last answers.
 */
export const CLOSE_LINGER_MS = 1_000;

/**
 * One client. Requests are served as they come, many at a time, and answered in the order in which
 * they are done. Reading stops while too much is in flight or waits to be sent, so that a client
 * which does not read costs nothing but its own connection.
 */
export class Connection<Frame> implements ConnectionContext {
  readonly remoteAddress: string;
  readonly waits = new Set<Wait>();
  readonly #socket: Socket;
  readonly #protocol: WireProtocol<Frame>;
  readonly #decoder: WireDecoder<Frame>;
  readonly #queue: OutboundQueue;
  readonly #options: ConnectionOptions<Frame>;
  readonly #exchanges = new Set<Exchange<Frame>>();
  /** Frames that came with the last bytes and are beyond what may be in flight. */
  #backlog: Received<Frame>[] = [];
  #paused = false;
  /** Nothing is served any more; what is in flight is answered, then the connection ends. */
  #closing = false;
  #ended = false;
  #linger: NodeJS.Timeout | undefined;
  /** Since when a frame is incomplete. */
  #frameSinceMs = 0;

  constructor(options: ConnectionOptions<Frame>) {
    const { socket } = options.reader;
    this.#options = options;
    this.#socket = socket;
    this.#protocol = options.protocol;
    this.#decoder = options.protocol.newDecoder();
    this.remoteAddress = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
    this.#queue = new OutboundQueue(options.outlet, {
      sendBytesPerTurn: options.limits.sendBytesPerTurn,
      onSent: this.#onSent,
      onFailure: this.#onFailure,
    });
    socket.on('end', () => {
      this.close();
    });
    socket.on('error', this.#onFailure);
    socket.on('close', this.#onClose);
    options.reader.start(this.#onChunk);
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Answers what is in flight, then ends the connection. Idempotent. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    for (const wait of this.waits) wait.hurry();
    this.#endWhenDone();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Answers requests that are past their time and gives up a frame that does not end.
   * @param nowMs milliseconds of `performance.now()`.
   */
  expire(nowMs: number): void {
    for (const exchange of this.#exchanges) {
      if (exchange.answered || exchange.deadlineMs > nowMs) continue;
      exchange.answered = true;
      this.#queue.push(this.#protocol.timeoutReply(exchange.frame), []);
    }
    const { requestTimeoutMs } = this.#options.limits;
    const unfinished = this.#decoder.bufferedBytes > 0 && !this.#paused && !this.#closing;
    if (unfinished && nowMs - this.#frameSinceMs > requestTimeoutMs) {
      this.#refuse(
        new ProtocolError(
          'REQUEST_TIMED_OUT',
          `A frame was not complete ${requestTimeoutMs} ms after its first byte`,
        ),
      );
    }
  }

  readonly #onChunk = (chunk: Buffer): void => {
    this.#options.counters.bytesReceived += chunk.length;
    if (this.#closing) return;
    const wasIncomplete = this.#decoder.bufferedBytes > 0;
    let frames: readonly Frame[];
    let failure: ProtocolError | undefined;
    try {
      frames = this.#decoder.push(chunk);
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        this.#options.logger.error({ err: error, client: this.remoteAddress }, 'decoding failed');
        this.destroy();
        return;
      }
      frames = this.#decoder.framesBeforeError;
      failure = error;
    }
    if (frames.length > 0 || !wasIncomplete) this.#frameSinceMs = performance.now();
    this.#accept(frames);
    if (failure !== undefined) this.#refuse(failure);
  };

  #accept(frames: readonly Frame[]): void {
    const incomplete = this.#decoder.bufferedBytes > 0;
    const { first, others } = this.#options.reader.takeLeases(frames.length, incomplete);
    let lease = first;
    for (const frame of frames) {
      const received = this.#receive(frame, lease);
      lease = others;
      if (this.#backlog.length > 0 || this.#isFull()) this.#backlog.push(received);
      else void this.#serve(received);
    }
    if (this.#backlog.length > 0 || this.#isFull()) this.#pause();
  }

  /** A request without a payload was decoded into values of its own: its memory can go. */
  #receive(frame: Frame, lease: Lease): Received<Frame> {
    if (this.#protocol.sharesMemory(frame)) return { frame, lease };
    release(lease);
    return { frame, lease: [] };
  }

  #isFull(): boolean {
    const { maxInFlightRequestsPerConnection, maxOutboundBytesPerConnection } =
      this.#options.limits;
    return (
      this.#exchanges.size + this.#queue.depth >= maxInFlightRequestsPerConnection ||
      this.#queue.bytes >= maxOutboundBytesPerConnection
    );
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  /** Goes on with what was put back, then with reading. */
  #resumeWhenRoom(): void {
    if (!this.#paused) return;
    let served = 0;
    while (served < this.#backlog.length && !this.#isFull()) {
      const received = this.#backlog[served];
      served += 1;
      if (received !== undefined) void this.#serve(received);
    }
    if (served > 0) this.#backlog = this.#backlog.slice(served);
    if (this.#backlog.length > 0 || this.#isFull()) return;
    this.#paused = false;
    this.#frameSinceMs = performance.now();
    this.#socket.resume();
  }

  async #serve({ frame, lease }: Received<Frame>): Promise<void> {
    const receivedAtMs = performance.now();
    const exchange: Exchange<Frame> = {
      frame,
      connection: this,
      receivedAtMs,
      deadlineMs: receivedAtMs + this.#options.limits.requestTimeoutMs,
      answered: false,
    };
    this.#exchanges.add(exchange);
    try {
      const reply = await this.#protocol.serve(frame, exchange);
      this.#exchanges.delete(exchange);
      if (reply !== undefined) {
        if (exchange.answered) releaseParts(reply.body);
        else this.#queue.push(reply.head, reply.body);
      }
    } catch (error) {
      this.#exchanges.delete(exchange);
      this.#onFatal(error);
    }
    release(lease);
    if (this.#paused) this.#resumeWhenRoom();
    if (this.#closing) this.#endWhenDone();
  }

  /** A request that wants no answer failed, or the protocol has a defect. */
  #onFatal(error: unknown): void {
    const { logger } = this.#options;
    if (error instanceof ConnectionFatalError) {
      logger.warn({ client: this.remoteAddress, reason: error.message }, 'connection closed');
    } else {
      logger.error({ err: error, client: this.remoteAddress }, 'serving a request failed');
    }
    this.destroy();
  }

  /** The client's bytes make no sense: say so and end. */
  #refuse(error: ProtocolError): void {
    const { counters, logger } = this.#options;
    counters.protocolErrors += 1;
    logger.warn(
      { client: this.remoteAddress, error: error.errorName, reason: error.message },
      'protocol error, closing the connection',
    );
    this.#queue.push(this.#protocol.connectionError(error), []);
    this.close();
  }

  readonly #onSent = (bytes: number): void => {
    this.#options.counters.bytesSent += bytes;
    if (this.#paused) this.#resumeWhenRoom();
    if (this.#closing) this.#endWhenDone();
  };

  #endWhenDone(): void {
    if (this.#ended || this.#exchanges.size > 0 || this.#backlog.length > 0) return;
    if (this.#queue.depth > 0) return;
    this.#ended = true;
    this.#socket.end();
    // What still comes is read and dropped.
    this.#socket.resume();
    this.#linger = setTimeout(() => {
      this.destroy();
    }, CLOSE_LINGER_MS);
    if (this.#socket.readableEnded) this.#destroyWhenFlushed();
    else this.#socket.once('end', this.#destroyWhenFlushed);
  }

  readonly #destroyWhenFlushed = (): void => {
    if (this.#socket.writableFinished) this.destroy();
    else this.#socket.once('finish', () => this.#socket.destroy());
  };

  readonly #onFailure = (error: unknown): void => {
    const { logger } = this.#options;
    const code = errnoOf(error);
    const gone = code === 'EPIPE' || code === 'ECONNRESET' || code === 'ETIMEDOUT';
    const details = { err: error, client: this.remoteAddress };
    if (gone) logger.debug(details, 'the client is gone');
    else logger.error(details, 'connection failed');
    this.destroy();
  };

  readonly #onClose = (): void => {
    clearTimeout(this.#linger);
    this.#closing = true;
    this.#ended = true;
    for (const { lease } of this.#backlog) release(lease);
    this.#backlog = [];
    this.#options.reader.close();
    this.#queue.close();
    for (const wait of this.waits) wait.cancel();
    this.#options.onClosed();
  };
}
