import { connect } from 'node:net';
import type { Socket } from 'node:net';
import {
  CLIENT_FRAME_LIMITS,
  createTopicsApi,
  decodeResponseFrame,
  encodeRequestFrame,
  FrameDecoder,
  RecordBatchBuilder,
} from '@millrace/protocol';
import type { Api, Frame } from '@millrace/protocol';

/** What came back for a request. */
export interface Answer<Response> {
  readonly response: Response;
  readonly payload: Buffer;
}

/** A client that does nothing by itself: one socket, frames out, frames in. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  /** Frames that came, in their order. */
  readonly frames: Frame[] = [];
  readonly #decoder = new FrameDecoder(CLIENT_FRAME_LIMITS);
  #watchers: (() => void)[] = [];
  #nextId = 1_000_000;
  #isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.frames.push(...this.#decoder.push(chunk));
      this.#wake();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  static async open(address: string): Promise<RawClient> {
    const [host = '', port = ''] = address.split(':');
    const socket = connect({ host, port: Number(port) });
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  /** Writes a request without waiting; returns its correlation id. */
  post<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    payload: Buffer = Buffer.alloc(0),
  ): number {
    const id = this.#nextId;
    this.#nextId += 1;
    this.write(Buffer.concat([encodeRequestFrame(api, id, request, payload.length), payload]));
    return id;
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** The frame with this correlation id, once it is there; it is taken off the list. */
  async frameOf(correlationId: number): Promise<Frame> {
    for (;;) {
      const index = this.frames.findIndex((frame) => frame.correlationId === correlationId);
      const frame = this.frames[index];
      if (frame !== undefined) {
        this.frames.splice(index, 1);
        return frame;
      }
      if (this.#isClosed) throw new Error(`closed without an answer to ${correlationId}`);
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  async answerTo<Request, Response>(
    api: Api<Request, Response>,
    correlationId: number,
  ): Promise<Answer<Response>> {
    const frame = await this.frameOf(correlationId);
    const response = decodeResponseFrame(api, frame);
    return { response, payload: frame.payload.toBuffer() };
  }

  async call<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    payload?: Buffer,
  ): Promise<Answer<Response>> {
    const id = this.post(api, request, payload);
    return this.answerTo(api, id);
  }

  async createTopic(
    name: string,
    partitions = 1,
    config: [string, string][] = [],
  ): Promise<string> {
    const { response } = await this.call(createTopicsApi, {
      topics: [{ name, partitions, config }],
      timeoutMs: 10_000,
    });
    const [topic] = response.topics;
    if (topic?.errorCode !== 0) throw new Error(topic?.errorMessage ?? 'no answer');
    return topic.topicId;
  }

  close(): Promise<void> {
    this.socket.destroy();
    return this.closed;
  }

  #wake(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }
}

/** One batch with the given values. */
export function batchOf(...values: readonly (string | Buffer)[]): Buffer {
  const builder = new RecordBatchBuilder({ compression: 'none' });
  for (const value of values) builder.append(null, value, null, Date.now());
  return builder.build();
}

/** Waits until `condition` holds, looking again each turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
