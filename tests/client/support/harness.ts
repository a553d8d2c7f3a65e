import { afterEach, beforeEach } from '@jest/globals';
import { Millrace, type ClientEvent, type ClientOptions } from '@millrace/client';
import { FakeBroker, type FakeCall, type Fault } from './fake-broker.js';

/** A fake broker and clients of it, made anew for each test and cleaned up after it. */
export interface Harness {
  readonly broker: FakeBroker;
  readonly client: Millrace;
  /** What the clients told of. */
  readonly events: ClientEvent[];
  /** Another client, closed after the test. */
  readonly connect: (options?: Partial<ClientOptions>) => Millrace;
}

export function useFakeBroker(): () => Harness {
  let harness: Harness | undefined;
  const clients: Millrace[] = [];
  beforeEach(async () => {
    const broker = await FakeBroker.start();
    const events: ClientEvent[] = [];
    const connect = (options: Partial<ClientOptions> = {}): Millrace => {
      const client = new Millrace({
        brokers: [broker.address],
        clientId: 'test',
        closeTimeoutMs: 500,
        reconnectBackoffMs: 1,
        reconnectBackoffMaxMs: 20,
        onEvent: (event) => events.push(event),
        ...options,
      });
      clients.push(client);
      return client;
    };
    harness = { broker, events, connect, client: connect() };
  });
  afterEach(async () => {
    if (harness !== undefined) harness.broker.intercept = undefined;
    await Promise.all(clients.splice(0).map((client) => client.close().catch(() => undefined)));
    await harness?.broker.stop();
  });
  return () => {
    if (harness === undefined) throw new Error('Not within a test');
    return harness;
  };
}

/** A fault for the nth requests of one API. */
export function onNth(api: string, numbers: readonly number[], fault: Fault) {
  return (call: FakeCall): Fault | undefined =>
    call.api === api && numbers.includes(call.nth) ? fault : undefined;
}

/** Values that a partition of the fake broker holds, in order. */
export async function valuesOf(client: Millrace, topic: string): Promise<string[]> {
  const values: string[] = [];
  for await (const message of client.consumer({ topics: [topic], exitAtEnd: true })) {
    values.push(message.text() ?? '');
  }
  return values;
}

/** `0, 1, … count - 1` as text. */
export function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}

/** Polls until the condition holds; the test's own timeout is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** The error that a promise rejects with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('It did not reject');
    },
    (error: unknown) => error,
  );
}
