/* A connection without retries and metadata: requests pipelined, answers matched. */
import { once } from 'node:events';
import { connect } from 'node:net';
import {
  CLIENT_FRAME_LIMITS,
  decodeResponseFrame,
  encodeRequestFrame,
  FrameDecoder,
} from '@millrace/protocol';

export class RawConnection {
  #socket;
  #decoder = new FrameDecoder(CLIENT_FRAME_LIMITS);
  #waiting = new Map();
  #correlationId = 0;

  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      for (const frame of this.#decoder.push(chunk)) this.#answer(frame);
    });
  }

  static async open(port) {
    const socket = connect({ host: '127.0.0.1', port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  request(api, request) {
    this.#correlationId += 1;
    const correlationId = this.#correlationId;
    this.#socket.write(encodeRequestFrame(api, correlationId, request));
    return new Promise((resolve, reject) => {
      this.#waiting.set(correlationId, { api, resolve, reject });
    });
  }

  close() {
    this.#socket.destroy();
  }

  #answer(frame) {
    const waiting = this.#waiting.get(frame.correlationId);
    this.#waiting.delete(frame.correlationId);
    try {
      waiting.resolve(decodeResponseFrame(waiting.api, frame));
    } catch (error) {
      waiting.reject(error);
    }
  }
}
