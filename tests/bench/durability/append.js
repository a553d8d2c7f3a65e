/* Filling topics of a broker under test by `load.js`, for all benchmarks that do. */
import { fileURLToPath } from 'node:url';
import { Millrace } from '@millrace/client';
import { runScript } from '../spine/processes.js';

const LOAD = fileURLToPath(new URL('./load.js', import.meta.url));

/** What to append with where little of the time is to be spent on each batch. */
export const LARGE_BATCH_BYTES = 256 * 1024;

/**
 * Appends `bytes` with `acks=1`, each producer with a connection and 5 requests in flight of its own; resolves to
 * what was acknowledged, and in how many seconds.
 */
export function append(server, topic, bytes, { producers = 1, batchBytes = 16 * 1024 } = {}) {
  const args = ['raw', server.port, topic, '1', producers, 5, bytes, batchBytes];
  return runScript([LOAD, ...args.map(String)]);
}

export async function createTopic(server, name, partitions) {
  const client = new Millrace({ brokers: [`127.0.0.1:${server.port}`] });
  await client.admin.createTopic({ name, partitions });
  await client.close();
}
