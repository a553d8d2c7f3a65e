import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import {
  apiByKey,
  apis,
  encodeErrorFrame,
  encodeResponseFrame,
  errorTable,
  FrameDecoder,
  NO_API_KEY,
  NO_CORRELATION_ID,
  ProtocolError,
  type Api,
  type ErrorName,
  type Frame,
  type MetadataRequest,
} from '@millrace/protocol';
import { FakeGroup } from './fake-group.js';

/** A request as a test's interceptor sees it. */
export interface CoordinatorCall {
  readonly api: string;
  readonly request: unknown;
  /** Counts requests of this API from 1. */
  readonly nth: number;
  readonly connection: number;
}

/** What to do instead of answering properly. */
export type CoordinatorFault =
  /** The error is where the API has it: in the envelope, the response, or every row. */
  | { readonly kind: 'error'; readonly name: ErrorName }
  /** Hang up before doing it. */
  | { readonly kind: 'cut' }
  /** Do it, then hang up instead of answering. */
  | { readonly kind: 'cut-after' }
  /** Do it when the promise resolves. */
  | { readonly kind: 'delay'; readonly until: Promise<unknown> };

const NODE_ID = 1;
/** Their errors are not in the envelope. */
const rowApis = ['joinGroup', 'offsetCommit', 'offsetFetch'];

/**
 * A broker in memory that knows topics and one group, over a real socket. What it does wrong it
 * does because the test says so.
 */
export class FakeCoordinator {
  readonly topics = new Map<string, { id: string; partitions: number }>();
  readonly group = new FakeGroup();
  readonly calls: CoordinatorCall[] = [];
  intercept: ((call: CoordinatorCall) => CoordinatorFault | undefined) | undefined;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #connections = 0;
  #nextTopicId = 1;
  port = 0;

  static async start(): Promise<FakeCoordinator> {
    const coordinator = new FakeCoordinator();
    await coordinator.listen();
    return coordinator;
  }

  createTopic(name: string, partitions: number): void {
    const id = (this.#nextTopicId++).toString(16).padStart(32, '0');
    this.topics.set(name, { id, partitions });
  }

  callsOf(api: string): CoordinatorCall[] {
    return this.calls.filter((call) => call.api === api);
  }

  /** Faults for the nth requests of an API from now on; the others are answered properly. */
  failNext(api: string, fault: CoordinatorFault, times = 1): void {
    const last = this.callsOf(api).length + times;
    this.intercept = (call) => (call.api === api && call.nth <= last ? fault : undefined);
  }

  async listen(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
    this.port = (server.address() as AddressInfo).port;
  }

  /** Stops like a process that was killed; the group stays, as a broker stores it. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    const connection = (this.#connections += 1);
    const decoder = new FrameDecoder();
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      try {
        for (const frame of decoder.push(chunk)) void this.#serve(socket, frame, connection);
      } catch (error) {
        const head = { apiKey: NO_API_KEY, apiVersion: 0, correlationId: NO_CORRELATION_ID };
        socket.end(encodeErrorFrame(head, error as ProtocolError));
      }
    });
  }

  async #serve(socket: Socket, frame: Frame, connection: number): Promise<void> {
    const api = apiByKey(frame.apiKey) as Api<unknown, unknown>;
    let request: unknown;
    try {
      request = api.decodeRequest(frame.fields);
    } catch (error) {
      return void socket.write(encodeErrorFrame(frame, error as ProtocolError));
    }
    const nth = this.callsOf(api.name).length + 1;
    const call = { api: api.name, request, nth, connection };
    this.calls.push(call);
    const fault = this.intercept?.(call);
    if (fault?.kind === 'cut') return void socket.destroy();
    if (fault?.kind === 'delay') await fault.until;
    if (fault?.kind === 'error' && fault.name === 'UNKNOWN_MEMBER_ID') {
      this.group.forget((request as { readonly memberId: string }).memberId);
    }
    const answer = await this.#answer(api, request, frame, fault);
    if (fault?.kind === 'cut-after') return void socket.destroy();
    if (!socket.destroyed) socket.write(answer);
  }

  async #answer(
    api: Api<unknown, unknown>,
    request: unknown,
    frame: Frame,
    fault: CoordinatorFault | undefined,
  ): Promise<Buffer> {
    try {
      const error = fault?.kind === 'error' ? new ProtocolError(fault.name) : undefined;
      if (error !== undefined && !rowApis.includes(api.name)) throw error;
      const response = await this.#handle(api.name, request, error);
      return encodeResponseFrame(api, frame.correlationId, response);
    } catch (error) {
      const known = error instanceof ProtocolError ? error : undefined;
      const sent = known ?? new ProtocolError('UNKNOWN_SERVER_ERROR', String(error));
      return encodeErrorFrame(frame, sent);
    }
  }

  #handle(api: string, request: unknown, error: ProtocolError | undefined): unknown {
    if (api === 'apiVersions') {
      return { clusterId: 'fake', apis, software: 'fake-coordinator', version: '0.0.0' };
    }
    if (api === 'metadata') return this.#metadata(request as MetadataRequest);
    if (api === 'findCoordinator') return { nodeId: NODE_ID, host: '', port: 0 };
    return this.group.handle(api, request, error);
  }

  #metadata({ topics }: MetadataRequest) {
    const names = topics ?? [...this.topics.keys()];
    return {
      clusterId: 'fake',
      nodes: [{ nodeId: NODE_ID, host: '', port: 0 }],
      topics: names.map((name) => {
        const topic = this.topics.get(name);
        if (topic === undefined) {
          const errorCode = errorTable.UNKNOWN_TOPIC_OR_PARTITION.code;
          return { errorCode, name, topicId: '', partitions: [] };
        }
        const partitions = Array.from({ length: topic.partitions }, (_, partition) => ({
          partition,
          leader: NODE_ID,
          leaderEpoch: 0,
        }));
        return { errorCode: 0, name, topicId: topic.id, partitions };
      }),
    };
  }
}
