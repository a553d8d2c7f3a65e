import { connect, type Socket } from 'node:net';
import {
  apiVersionsApi,
  CLIENT_FRAME_LIMITS,
  decodeResponseFrame,
  DEFAULT_MAX_HEADER_BYTES,
  encodeRequestFrame,
  errorTable,
  FRAME_PREFIX_BYTES,
  FrameDecoder,
  NO_API_KEY,
  ProtocolError,
  type Api,
  type Frame,
} from '@millrace/protocol';
import { BrokerError, ConnectionError, MillraceError, RequestTimeoutError } from '../errors.js';
import { onAbort } from '../util/abort.js';
import { ignore } from '../util/async.js';
import { CLIENT_SOFTWARE, CLIENT_VERSION } from '../version.js';
import { formatAddress, type Address } from './address.js';
import type { Call, ConnectionOptions, Reply } from './connection-types.js';
import { OfferedApis } from './api-versions.js';
import {
  headerTooLarge,
  lostConnection,
  notAFrame,
  notMillrace,
  silent,
  timedOut,
  unreadableAnswer,
} from './connection-errors.js';
import { PendingRequests } from './pending-requests.js';

/** Requests that may wait for a response on one connection; more are refused. */
export const MAX_PENDING_REQUESTS = 10_000;
/** TCP keep-alive starts after this much silence. */
const KEEP_ALIVE_MS = 30_000;

/**
 * One TCP connection to a broker with requests pipelined over it. Responses may overtake each
 * other; each is matched by its correlation id. A request that times out closes the connection,
 * for its response may be lost and with it all that was to come after.
 */
export class Connection {
  /** `host:port`, for messages. */
  readonly broker: string;
  readonly address: Address;
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder(CLIENT_FRAME_LIMITS);
  readonly #pending = new PendingRequests();
  #connected = false;
  /** Undefined until the handshake is done. */
  #offered: OfferedApis | undefined;
  #error: MillraceError | undefined;
  #closed = false;
  #answers = 0;
  /** Why the broker is about to hang up, when it said so. */
  #farewell: string | undefined;

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    this.address = options.address;
    this.broker = formatAddress(options.address);
    this.#socket = connect({ ...options.address, noDelay: true });
    this.#socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#socket.on('data', (chunk) => this.#onData(chunk));
    this.#socket.on('error', (error) => this.close(this.#lost(error)));
    this.#socket.on('close', () => this.close(this.#lost(undefined)));
  }

  /**
   * Dials, and checks that a millrace broker of a version that this client speaks answers.
   *
   * @throws ConnectionError, NotMillraceError, UnsupportedVersionError; the signal's reason.
   */
  static async open(options: ConnectionOptions, signal?: AbortSignal): Promise<Connection> {
    const connection = new Connection(options);
    const stop = signal === undefined ? ignore : onAbort(signal, () => connection.close());
    try {
      await connection.#handshake(options);
    } catch (error) {
      connection.close();
      throw signal?.aborted === true ? signal.reason : error;
    } finally {
      stop();
    }
    options.onEvent({ type: 'connected', broker: connection.broker, purpose: options.purpose });
    return connection;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** True once a request after the handshake was answered: the broker is of use. */
  get proven(): boolean {
    return this.#answers > 1;
  }

  /**
   * Sends a request and waits for its response.
   *
   * @throws BrokerError with the code that the broker answered, FRAME_TOO_LARGE also before
   *   anything is sent; UnsupportedVersionError when the broker does not offer the API;
   *   ConnectionError when the connection breaks first, RequestTimeoutError after `timeoutMs`: the
   *   outcome is unknown then.
   */
  request<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    { timeoutMs, payload }: Call,
  ): Promise<Reply<Response>> {
    return new Promise<Reply<Response>>((resolve, reject) => {
      const refusal = this.#refusal() ?? this.#offered?.refusal(api);
      if (refusal !== undefined) {
        reject(refusal);
        return;
      }
      const correlationId = this.#pending.takeId();
      const payloadBytes = lengthOf(payload);
      // Before it is counted as under way: what cannot be encoded rejects, and leaves no trace.
      const head = encodeRequestFrame(api, correlationId, request, payloadBytes);
      // A broker would hang up on it, and on everything else that is under way.
      if (head.length - FRAME_PREFIX_BYTES > DEFAULT_MAX_HEADER_BYTES) {
        reject(headerTooLarge(this.broker, api.name, head.length - FRAME_PREFIX_BYTES));
        return;
      }
      const timer = setTimeout(() => this.#onTimeout(api.name, timeoutMs), timeoutMs);
      // The socket keeps the process alive while a response is due; the timer need not.
      timer.unref();
      this.#pending.add(correlationId, {
        api,
        sentBytes: head.length + payloadBytes,
        resolve: resolve as (reply: Reply<unknown>) => void,
        reject,
        timer,
      });
      this.#write(head, payload);
    });
  }

  /**
   * Sends a request that gets no response (produce with acks 0). Resolves when the kernel has
   * taken the bytes.
   *
   * @throws ConnectionError
   */
  sendOneWay<Request>(
    api: Api<Request, unknown>,
    request: Request,
    payload: readonly Buffer[],
  ): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const refusal = this.#refusal();
      if (refusal !== undefined) {
        reject(refusal);
        return;
      }
      const id = this.#pending.takeId();
      const head = encodeRequestFrame(api, id, request, lengthOf(payload));
      this.#write(head, payload, (error) => {
        if (error === undefined || error === null) resolve();
        else reject(this.#error ?? this.#lost(error));
      });
    });
  }

  /** Closes at once; what waits for a response fails with the error. Idempotent. */
  close(error?: MillraceError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error ?? new ConnectionError(`The connection to ${this.broker} was closed`, this);
    this.#socket.destroy();
    this.#pending.failAll(this.#error);
    const { onEvent, onClose, purpose } = this.#options;
    if (this.#offered !== undefined) {
      onEvent({ type: 'disconnected', broker: this.broker, purpose, error });
    }
    onClose?.();
  }

  async #handshake({ connectTimeoutMs, clientId }: ConnectionOptions): Promise<void> {
    const greeting = { clientSoftware: `${CLIENT_SOFTWARE} (${clientId})` };
    try {
      const { response } = await this.request(
        apiVersionsApi,
        { ...greeting, clientVersion: CLIENT_VERSION },
        { timeoutMs: connectTimeoutMs },
      );
      this.#offered = new OfferedApis(response, this.broker);
    } catch (error) {
      if (error instanceof RequestTimeoutError) throw silent(this.broker, connectTimeoutMs, error);
      // An error envelope, or fields that make no sense: with a millrace broker neither happens.
      if (!(error instanceof BrokerError)) throw error;
      if (error.retriable) throw new ConnectionError(error.message, { broker: this.broker });
      throw notMillrace(this.broker, error);
    }
  }

  #refusal(): MillraceError | undefined {
    if (this.#error !== undefined) return this.#error;
    if (this.#pending.size < MAX_PENDING_REQUESTS) return undefined;
    return new MillraceError(
      'OVERLOADED',
      `${MAX_PENDING_REQUESTS} requests wait for a response from ${this.broker} already`,
      true,
      { broker: this.broker },
    );
  }

  /** Header and payload leave in one writev. */
  #write(
    head: Buffer,
    payload: readonly Buffer[] = [],
    onSent?: (error?: Error | null) => void,
  ): void {
    const socket = this.#socket;
    if (payload.length === 0) {
      socket.write(head, onSent);
      return;
    }
    socket.cork();
    socket.write(head);
    for (let index = 0; index < payload.length; index += 1) {
      const part = payload[index] as Buffer;
      if (index === payload.length - 1) socket.write(part, onSent);
      else socket.write(part);
    }
    socket.uncork();
  }

  #onData(chunk: Buffer): void {
    if (this.#closed) return;
    this.#connected = true;
    let frames: readonly Frame[];
    try {
      frames = this.#decoder.push(chunk);
    } catch (error) {
      frames = this.#decoder.framesBeforeError;
      for (const frame of frames) this.#onFrame(frame);
      this.close(
        this.#offered === undefined
          ? notMillrace(this.broker, error)
          : notAFrame(this.broker, error),
      );
      return;
    }
    for (const frame of frames) this.#onFrame(frame);
  }

  #onFrame(frame: Frame): void {
    const pending = this.#pending.take(frame.correlationId);
    if (pending === undefined) {
      this.#onUnknownFrame(frame);
      return;
    }
    this.#answers += 1;
    try {
      const response = decodeResponseFrame(pending.api, frame);
      pending.resolve({ response, payload: frame.payload });
    } catch (error) {
      pending.reject(unreadableAnswer(this.broker, pending.api.name, error));
    }
  }

  #onUnknownFrame(frame: Frame): void {
    const { broker } = this;
    const { correlationId } = frame;
    this.#options.onEvent({ type: 'unknown-response', broker, correlationId });
    if (frame.apiKey !== NO_API_KEY) return;
    // A broker that cannot read what it got says why, to no request in particular, and hangs up.
    const [code, message] = frame.fields;
    if (typeof code !== 'number' || typeof message !== 'string') return;
    this.#farewell = message;
    if (code !== errorTable.FRAME_TOO_LARGE.code) return;
    // It would be too large the next time as well. The others may go another way.
    const culprit = this.#pending.takeLargest();
    const error = ProtocolError.fromCode(code, message);
    culprit?.reject(new BrokerError(error, { broker, action: culprit.api.name }));
  }

  #onTimeout(apiName: string, timeoutMs: number): void {
    this.close(timedOut(this.broker, apiName, timeoutMs));
  }

  #lost(cause: Error | undefined): MillraceError {
    return lostConnection(this.broker, this.#connected, this.#farewell ?? cause?.message, cause);
  }
}

function lengthOf(payload: readonly Buffer[] = []): number {
  return payload.reduce((bytes, part) => bytes + part.length, 0);
}
