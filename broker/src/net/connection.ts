import type { Socket } from 'node:net';
import { ProtocolError } from '@millrace/protocol';
import type { CutReason } from '../counters.js';
import type { ConnectionContext, Wait } from '../handlers/context.js';
import { ConnectionFatalError } from '../handlers/handler.js';
import { Roster } from '../roster.js';
import type { Seat } from '../roster.js';
import type { WireDecoder, WireProtocol, WireReply } from '../wire/wire-protocol.js';
import { logCut, logFailure, logFatal } from './connection-log.js';
import type { ConnectionOptions } from './connection-options.js';
import type { Exchange, Waiting } from './exchange.js';
import { IdleWatch } from './idle-watch.js';
import { endInOrder } from './orderly-end.js';
import { OutboundQueue, releaseParts } from './outbound-queue.js';
import type { MemoryUser } from './request-memory.js';
import { SendStall } from './send-stall.js';
import { release } from './socket-reader.js';
import type { Lease } from './socket-reader.js';

/**
 * One client. Requests are served as they come, many at a time, and answered in the order in which
 * they are done. Reading stops while too much is in flight or waits to be sent, so that a client
 * which does not read costs nothing but its own connection.
 */
export class Connection<Frame> implements ConnectionContext, MemoryUser {
  readonly remoteAddress: string;
  readonly waits = new Roster<Wait>();
  /** Memory of requests that came and are not yet served. */
  heldBytes = 0;
  readonly #socket: Socket;
  readonly #protocol: WireProtocol<Frame>;
  #decoder: WireDecoder<Frame>;
  readonly #queue: OutboundQueue;
  readonly #options: ConnectionOptions<Frame>;
  readonly #exchanges = new Roster<Exchange<Frame>>();
  /** Frames that came with the last bytes and are beyond what may be in flight. */
  #backlog: Waiting<Frame>[] = [];
  #paused = false;
  /** Reading stopped for what this connection has in flight, and not only for want of memory. */
  #wasFull = false;
  /** Nothing is served any more; what is in flight is answered, then the connection ends. */
  #closing = false;
  #ended = false;
  readonly #stall: SendStall;
  readonly #idle: IdleWatch;
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
    this.#stall = new SendStall(this.#queue, options.outlet, options.limits.sendStallTimeoutMs);
    this.#idle = new IdleWatch(options.limits, performance.now());
    socket.on('end', () => {
      this.close();
    });
    socket.on('error', this.#onFailure);
    socket.on('close', this.#onClose);
    options.memory.join(this);
    options.reader.start(this, this.#onChunk);
  }

  get closing(): boolean {
    return this.#closing;
  }

  get midFrame(): boolean {
    return this.#decoder.bufferedBytes > 0;
  }

  /** Answers what is in flight, then ends the connection. Idempotent. */
  close(): void {
    if (this.#closing) return;
    this.#stopReceiving();
    this.waits.forEach((wait) => {
      wait.hurry();
    });
    this.#endWhenDone();
  }

  /** Stops or goes on reading, as the memory for requests now is. */
  review(): void {
    if (this.#closing) return;
    if (this.#paused) this.#resumeWhenRoom();
    else if (!this.#options.memory.mayRead(this)) this.#pause();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Answers requests that are past their time, gives up a frame that does not end, and cuts a client
   * that does not take its answers, or asks for nothing.
   * @param nowMs milliseconds of `performance.now()`.
   */
  expire(nowMs: number): void {
    this.#exchanges.forEach((exchange) => {
      if (exchange.answered || exchange.deadlineMs > nowMs) return;
      exchange.answered = true;
      if (exchange.wantsAnswer) this.#queue.push(this.#protocol.timeoutReply(exchange.frame), []);
      else this.#onFatal(new ConnectionFatalError('a request with acks=0 was not done in time'));
    });
    const { requestTimeoutMs, sendStallTimeoutMs } = this.#options.limits;
    // Also while it waits for memory: what others have begun and do not end must come to an end.
    const unfinished = this.midFrame && !this.#wasFull && !this.#closing;
    if (unfinished && nowMs - this.#frameSinceMs > requestTimeoutMs) {
      this.#cut('slow', { requestTimeoutMs });
      this.#refuse(
        new ProtocolError(
          'REQUEST_TIMED_OUT',
          `A frame was not complete ${requestTimeoutMs} ms after its first byte`,
        ),
      );
    }
    if (this.#stall.isOver(nowMs)) {
      this.#cut('stalled', { queuedBytes: this.#stall.queuedBytes, sendStallTimeoutMs });
      this.destroy();
      return;
    }
    const waits = this.#paused || this.#exchanges.size > 0 || this.#stall.queuedBytes > 0;
    const idle = this.#closing ? undefined : this.#idle.look(nowMs, waits);
    if (idle === undefined) return;
    this.#cut(idle, {});
    this.close();
  }

  #cut(reason: CutReason, details: object): void {
    this.#options.counters.connectionsCut[reason] += 1;
    logCut(this.#options.logger, this.remoteAddress, reason, details);
  }

  readonly #onChunk = (chunk: Buffer): void => {
    this.#options.counters.countRead(chunk.length);
    if (this.#closing) return;
    const wasIncomplete = this.midFrame;
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
    const nowMs = performance.now();
    if (frames.length > 0) this.#idle.asked(nowMs);
    if (frames.length > 0 || !wasIncomplete) this.#frameSinceMs = nowMs;
    this.#accept(frames);
    if (failure !== undefined) this.#refuse(failure);
  };

  #accept(frames: readonly Frame[]): void {
    const { memory, reader } = this.#options;
    const { first, others } = reader.takeLeases(frames.length, this.midFrame);
    let lease = first;
    for (const frame of frames) {
      const waiting = this.#receive(frame, lease);
      lease = others;
      if (this.#backlog.length > 0 || this.#isBusy()) this.#backlog.push(waiting);
      else this.#serve(waiting);
    }
    const full = this.#isFull();
    if (full || frames.length > 0) memory.frameEnded(this);
    if (full) {
      this.#wasFull = true;
      this.#pause();
    } else if (!memory.mayRead(this)) this.#pause();
    // It had to stop for want of memory, which what was served at once has given back.
    else if (this.#paused) this.#resumeWhenRoom();
  }

  /** A request without a payload was decoded into values of its own: its memory can go. */
  #receive(frame: Frame, lease: Lease): Waiting<Frame> {
    const received = this.#protocol.receive(frame);
    this.#options.memory.take(this, received.decodedBytes);
    if (received.sharesMemory) return { received, lease };
    release(lease);
    return { received, lease: [] };
  }

  /** No more requests are served for now. */
  #isBusy(): boolean {
    const limits = this.#options.limits;
    return (
      this.#exchanges.size + this.#queue.depth >= limits.maxInFlightRequestsPerConnection ||
      this.#queue.bytes >= limits.maxOutboundBytesPerConnection
    );
  }

  /**
   * No more is read for now. The frame that is being received does not count, nor does anything while
   * nothing is in flight: so a frame of any size gets in, and a large one does not wait for small ones.
   * A connection holds at most `maxInFlightBytesPerConnection`, one such frame, and what one read adds.
   */
  #isFull(): boolean {
    if (this.#backlog.length > 0 || this.#isBusy()) return true;
    if (this.#exchanges.size === 0) return false;
    const inFlightBytes = this.heldBytes - this.#options.reader.incompleteBytes;
    return inFlightBytes >= this.#options.limits.maxInFlightBytesPerConnection;
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
    while (served < this.#backlog.length && !this.#isBusy()) {
      const waiting = this.#backlog[served];
      served += 1;
      if (waiting !== undefined) this.#serve(waiting);
    }
    if (served > 0) this.#backlog = this.#backlog.slice(served);
    if (this.#closing) this.#endWhenDone();
    if (this.#closing || this.#isFull()) return;
    if (this.#wasFull) this.#frameSinceMs = performance.now();
    this.#wasFull = false;
    if (!this.#options.memory.mayRead(this)) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /**
   * Most requests are answered when this returns. Whoever calls looks then whether to go on with the backlog, to
   * read on, or to end: a request that waits does that itself when it is answered.
   */
  #serve(waiting: Waiting<Frame>): void {
    const { frame, sharesMemory } = waiting.received;
    const receivedAtMs = performance.now();
    const exchange: Exchange<Frame> = {
      frame,
      connection: this,
      receivedAtMs,
      deadlineMs: receivedAtMs + this.#options.limits.requestTimeoutMs,
      wantsAnswer: true,
      answered: false,
    };
    try {
      const reply = this.#protocol.serve(frame, exchange);
      if (reply instanceof Promise) {
        const seat = this.#exchanges.add(exchange);
        if (sharesMemory) this.#options.memory.serving();
        void this.#serveLater(waiting, seat, reply);
        return;
      }
      if (reply !== undefined) this.#queue.push(reply.head, reply.body);
    } catch (error) {
      this.#onFatal(error);
    }
    this.#letGo(waiting);
  }

  async #serveLater(
    waiting: Waiting<Frame>,
    seat: Seat<Exchange<Frame>>,
    pending: Promise<WireReply | undefined>,
  ): Promise<void> {
    try {
      const reply = await pending;
      this.#exchanges.remove(seat);
      if (reply !== undefined) {
        if (seat.member.answered) releaseParts(reply.body);
        else this.#queue.push(reply.head, reply.body);
      }
    } catch (error) {
      this.#exchanges.remove(seat);
      this.#onFatal(error);
    }
    if (waiting.received.sharesMemory) this.#options.memory.served();
    this.#letGo(waiting);
    if (this.#paused) this.#resumeWhenRoom();
    if (this.#closing) this.#endWhenDone();
  }

  #letGo({ received, lease }: Waiting<Frame>): void {
    release(lease);
    this.#options.memory.give(this, received.decodedBytes);
  }

  #onFatal(error: unknown): void {
    logFatal(this.#options.logger, this.remoteAddress, error);
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
    endInOrder(this.#socket);
  }

  readonly #onFailure = (error: unknown): void => {
    logFailure(this.#options.logger, this.remoteAddress, error);
    this.destroy();
  };

  /** What still comes is dropped: a frame that is incomplete is never finished. */
  #stopReceiving(): void {
    this.#closing = true;
    this.#options.reader.close();
    this.#options.memory.leave(this);
    this.#decoder = this.#protocol.newDecoder();
  }

  readonly #onClose = (): void => {
    this.#stopReceiving();
    this.#ended = true;
    for (const waiting of this.#backlog) this.#letGo(waiting);
    this.#backlog = [];
    this.#queue.close();
    this.waits.forEach((wait) => {
      wait.cancel();
    });
    this.#options.onClosed();
  };
}
