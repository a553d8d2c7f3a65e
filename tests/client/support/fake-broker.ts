import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import {
  apiByKey,
  apis,
  encodeErrorFrame,
  encodeResponseFrame,
  FrameDecoder,
  ProtocolError,
  type Api,
  type ErrorName,
  type Frame,
} from '@millrace/protocol';
import { FakeHandlers } from './fake-handlers.js';
import { FakeTopic } from './fake-log.js';

/** A request as a test's interceptor sees it. */
export interface FakeCall {
  readonly api: string;
  readonly request: unknown;
  /** Counts requests of this API from 1, over all connections. */
  readonly nth: number;
  readonly connection: number;
}

/** What to do instead of answering properly. */
export type Fault =
  /** Answer with an error and do nothing. */
  | { readonly kind: 'error'; readonly name: ErrorName; readonly message?: string }
  /** Answer every produce row with an error and store nothing. */
  | { readonly kind: 'row-error'; readonly name: ErrorName }
  /** Do it, but never answer. */
  | { readonly kind: 'lose-response' }
  /** Neither do it nor answer. */
  | { readonly kind: 'ignore' }
  /** Hang up before doing it. */
  | { readonly kind: 'cut' }
  /** Do it, then hang up instead of answering. */
  | { readonly kind: 'cut-after' }
  /** Do it now, answer when the promise resolves. */
  | { readonly kind: 'delay'; readonly until: Promise<unknown> }
  /** Answer with these bytes. */
  | { readonly kind: 'raw'; readonly bytes: Buffer };

export type Interceptor = (call: FakeCall) => Fault | undefined;

/**
 * A broker in memory that speaks the protocol over a real socket. Everything that it does wrong it
 * does because the test's interceptor says so.
 */
export class FakeBroker {
  readonly topics = new Map<string, FakeTopic>();
  readonly calls: FakeCall[] = [];
  intercept: Interceptor | undefined;
  /** What it says it speaks; a test may lie. */
  offered = apis.map(({ apiKey, minVersion, maxVersion }) => ({ apiKey, minVersion, maxVersion }));
  connections = 0;
  nextProducerId = 1;
  maxMessageBytes = 8 * 1024 * 1024;
  /** Answers to requests that it knows nothing of, by API. */
  readonly extra = new Map<string, (request: unknown) => unknown>();
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<string, number>();
  readonly #handlers = new FakeHandlers(this);
  #server: Server | undefined;
  #port = 0;

  static async start(): Promise<FakeBroker> {
    const broker = new FakeBroker();
    await broker.listen();
    return broker;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Connections open now. */
  get openConnections(): number {
    return this.#sockets.size;
  }

  createTopic(name: string, partitions = 1): FakeTopic {
    const topic = new FakeTopic(name, partitions);
    this.topics.set(name, topic);
    return topic;
  }

  topicById(id: string): FakeTopic | undefined {
    return [...this.topics.values()].find((topic) => topic.id === id);
  }

  callsOf(api: string): FakeCall[] {
    return this.calls.filter((call) => call.api === api);
  }

  /** Listens, on the same port as before when there was one. */
  async listen(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Hangs up on everybody; goes on listening. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Stops like a process that was killed; what is stored stays for the next `listen()`. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    this.cutAll();
    await closed;
  }

  #accept(socket: Socket): void {
    const connection = (this.connections += 1);
    const decoder = new FrameDecoder();
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      for (const frame of decoder.push(chunk)) void this.#serve(socket, frame, connection);
    });
  }

  async #serve(socket: Socket, frame: Frame, connection: number): Promise<void> {
    const api = apiByKey(frame.apiKey) as Api<unknown, unknown>;
    const request = api.decodeRequest(frame.fields);
    const nth = (this.#counts.get(api.name) ?? 0) + 1;
    this.#counts.set(api.name, nth);
    const call = { api: api.name, request, nth, connection };
    this.calls.push(call);
    const fault = this.intercept?.(call);
    if (fault?.kind === 'ignore') return;
    if (fault?.kind === 'cut') return void socket.resetAndDestroy();
    if (fault?.kind === 'raw') return void socket.write(fault.bytes);
    const answer = await this.#answer(api, frame, request, fault);
    if (fault?.kind === 'lose-response') return;
    if (fault?.kind === 'cut-after') return void socket.resetAndDestroy();
    if (fault?.kind === 'delay') await fault.until;
    if (answer === undefined || socket.destroyed) return;
    for (const part of answer) socket.write(part);
  }

  async #answer(
    api: Api<unknown, unknown>,
    frame: Frame,
    request: unknown,
    fault: Fault | undefined,
  ): Promise<Buffer[] | undefined> {
    const { correlationId } = frame;
    try {
      if (fault?.kind === 'error') throw new ProtocolError(fault.name, fault.message);
      const rowError = fault?.kind === 'row-error' ? fault.name : undefined;
      const answer = await this.#handlers.handle(api.name, request, frame.payload, rowError);
      if (answer === undefined) return undefined;
      const payload = answer.payload ?? Buffer.alloc(0);
      const head = encodeResponseFrame(api, correlationId, answer.response, payload.length);
      return payload.length === 0 ? [head] : [head, payload];
    } catch (error) {
      const known = error instanceof ProtocolError ? error : undefined;
      const sent = known ?? new ProtocolError('UNKNOWN_SERVER_ERROR', String(error));
      return [encodeErrorFrame(frame, sent)];
    }
  }
}
