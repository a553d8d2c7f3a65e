import { Writable } from 'node:stream';
import { loadNative } from '@millrace/native';
import { encodeFrame, FrameDecoder } from '@millrace/protocol';
import type { Frame, FrameLimits } from '@millrace/protocol';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { BrokerCounters } from '../../../broker/src/counters.js';
import type { ConnectionLimits } from '../../../broker/src/net/connection-options.js';
import { Listener } from '../../../broker/src/net/listener.js';
import { outletFactory } from '../../../broker/src/net/outlet-factory.js';
import type { WireProtocol, WireReply } from '../../../broker/src/wire/wire-protocol.js';
import { RawClient } from './raw-client.js';
import { afterTest } from './temporary.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Answers each frame when the test lets it; everything else is the broker's own. */
export class GatedProtocol implements WireProtocol<Frame> {
  served = 0;
  /** Requests with a payload wait for this before they are answered; the others, and by default all, for nothing. */
  gate: Promise<void> | undefined;
  /** Requests with a payload that do not wait get no answer, like a produce with `acks=0`. */
  silent = false;
  /** What follows the head of each answer. */
  body: readonly Buffer[] = [];

  constructor(private readonly limits: FrameLimits) {}

  newDecoder(): FrameDecoder {
    return new FrameDecoder(this.limits);
  }

  receive(frame: Frame): { frame: Frame; sharesMemory: boolean; decodedBytes: number } {
    return { frame, sharesMemory: frame.payload.length > 0, decodedBytes: 512 };
  }

  serve(frame: Frame): WireReply | undefined | Promise<WireReply> {
    const hasPayload = frame.payload.length > 0;
    if (hasPayload && this.gate !== undefined) return this.gate.then(() => this.#answer(frame));
    const answer = this.#answer(frame);
    return hasPayload && this.silent ? undefined : answer;
  }

  #answer(frame: Frame): WireReply {
    this.served += 1;
    const bodyBytes = this.body.reduce((sum, { length }) => sum + length, 0);
    return { head: encodeFrame(frame, [0, null], bodyBytes), body: this.body };
  }

  timeoutReply(frame: Frame): Buffer {
    return encodeFrame(frame, [7, 'timed out']);
  }

  connectionError(): Buffer {
    return encodeFrame({ apiKey: -1, apiVersion: 0, correlationId: -1 }, [7, 'refused']);
  }
}

/** A request with `payloadBytes` for {@link GatedProtocol}. */
export function requestOf(correlationId: number, payloadBytes: number): Buffer {
  const head = encodeFrame({ apiKey: 0, apiVersion: 0, correlationId }, [], payloadBytes);
  return Buffer.concat([head, Buffer.alloc(payloadBytes, correlationId)]);
}

/** A logger that keeps its lines, from `warn` on. */
export function keepingLogger(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  return { logger: pino({ level: 'warn' }, stream), lines };
}

export interface TestListenerOptions {
  readonly limits?: Partial<ConnectionLimits>;
  readonly maxRequestMemoryBytes?: number;
  readonly maxConnectionsPerAddress?: number;
  readonly outlet?: 'native' | 'node';
  readonly logger?: Logger;
}

/** A listener on a free port that is cut after the test. */
export async function testListener<Frame>(
  protocol: WireProtocol<Frame>,
  options: TestListenerOptions = {},
): Promise<{
  readonly listener: Listener<Frame>;
  readonly counters: BrokerCounters;
  readonly client: () => Promise<RawClient>;
}> {
  const native = options.outlet === 'node' ? undefined : loadNative();
  const outlets = outletFactory('copy', native, 16);
  const counters = new BrokerCounters();
  const listener = new Listener({
    listen: '127.0.0.1:0',
    maxConnections: 1_000,
    maxConnectionsPerAddress: options.maxConnectionsPerAddress ?? 1_000,
    maxRequestMemoryBytes: options.maxRequestMemoryBytes ?? 512 * MiB,
    limits: {
      maxInFlightRequestsPerConnection: 256,
      maxInFlightBytesPerConnection: 64 * MiB,
      maxOutboundBytesPerConnection: 64 * MiB,
      sendBytesPerTurn: MiB,
      requestTimeoutMs: 30_000,
      sendStallTimeoutMs: 60_000,
      firstRequestTimeoutMs: 3_600_000,
      connectionIdleTimeoutMs: 3_600_000,
      ...options.limits,
    },
    protocol,
    outlets,
    counters,
    logger: options.logger ?? pino({ level: 'silent' }),
  });
  const address = await listener.listen();
  afterTest(async () => {
    await listener.close(0);
    outlets.close();
  });
  const client = async (): Promise<RawClient> => {
    const opened = await RawClient.open(address);
    afterTest(() => opened.close());
    return opened;
  };
  return { listener, counters, client };
}
