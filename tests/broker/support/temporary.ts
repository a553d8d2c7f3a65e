import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { startBroker } from '../../../broker/src/broker.js';
import type { Broker, BrokerOptions } from '../../../broker/src/broker.js';
import { RawClient } from './raw-client.js';

const cleanups: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Runs `cleanup` after the test, in reverse order. */
export function afterTest(cleanup: () => void | Promise<void>): void {
  cleanups.push(cleanup);
}

/** A directory that is gone after the test. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  afterTest(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

/** A broker on a free port and a directory of its own, closed after the test. */
export async function testBroker(options: BrokerOptions = {}): Promise<Broker> {
  const broker = await startBroker({
    dataDir: options.dataDir ?? temporaryDirectory(),
    listen: '127.0.0.1:0',
    segmentBytes: 16 * 2 ** 20,
    ...options,
  });
  afterTest(() => broker.close());
  return broker;
}

/** A client of that broker, closed after the test. */
export async function testClient(broker: Broker): Promise<RawClient> {
  const client = await RawClient.open(broker.address);
  afterTest(() => client.close());
  return client;
}
