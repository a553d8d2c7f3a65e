import { expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import { BrokerProcess } from '../support/broker-process.js';
import { makeTempDir } from '../support/temp-dir.js';
import { flood, idleClients, stall, trickle } from './overload/misbehaving.js';
import { MemoryWatch } from './overload/resident-memory.js';
import { faultLength, faultTimeoutMs, skipped } from './support/length.js';

const KiB = 2 ** 10;
const MiB = 2 ** 20;

const rounds = faultLength('overload');
const idle = rounds > 1 ? 5_000 : 1_500;
const tricklers = 200;
const stalled = 4;
const maxRequestMemoryBytes = 64 * MiB;
const maxFrameBytes = 17 * MiB;

/** The formula of docs/durability.md, with this test's settings. */
function boundBytes(connections: number): number {
  const base = 128 * MiB;
  const requests = 1.25 * maxRequestMemoryBytes + maxFrameBytes;
  return base + requests + connections * 64 * KiB;
}

/** Sends numbered messages and reads them back until told to stop; what came, in its order. */
class Bystander {
  readonly #client: Millrace;
  #stop = false;
  readonly #sending: Promise<number>;
  readonly #reading: Promise<number[]>;

  constructor(address: string) {
    this.#client = new Millrace({ brokers: [address], clientId: 'bystander' });
    this.#sending = this.#send();
    this.#reading = this.#read();
  }

  async #send(): Promise<number> {
    const producer = this.#client.producer();
    let sent = 0;
    while (!this.#stop) {
      await producer.send('healthy', { value: `message ${sent}` });
      sent += 1;
    }
    return sent;
  }

  async #read(): Promise<number[]> {
    const seen: number[] = [];
    for await (const { value } of this.#client.consumer({
      topics: ['healthy'],
      from: 'beginning',
    })) {
      const text = String(value);
      if (text === 'end') return seen;
      seen.push(Number(text.replace('message ', '')));
    }
    return seen;
  }

  /** Stops; resolves to how many messages were acknowledged, and the numbers that were read. */
  async finish(): Promise<{ sent: number; seen: readonly number[] }> {
    this.#stop = true;
    const sent = await this.#sending;
    await this.#client.producer().send('healthy', { value: 'end' });
    const seen = await this.#reading;
    await this.#client.close();
    return { sent, seen };
  }
}

async function metric(broker: BrokerProcess, name: string): Promise<number> {
  const text = await (await fetch(`http://${broker.ready.http}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

async function round(broker: BrokerProcess, topicId: string): Promise<void> {
  const watch = new MemoryWatch(broker.pid);
  const bystander = new Bystander(broker.address);
  const idlers = await idleClients(broker.address, idle);
  const work = [
    flood(broker.address, topicId, { producers: 4, batches: 48 }),
    trickle(broker.address, tricklers),
    stall(broker.address, topicId, stalled),
  ] as const;
  const [acknowledged] = await Promise.all(work);
  const open = await metric(broker, 'millrace_connections');
  const { sent, seen } = await bystander.finish();
  const mostBytes = watch.stop();
  process.stdout.write(
    `overload: ${idle} idle, at most ${Math.round(mostBytes / MiB)} MiB of its own, ` +
      `the bound is ${Math.round(boundBytes(idle + tricklers + 20) / MiB)} MiB; ` +
      `${sent} messages of a bystander\n`,
  );

  expect(acknowledged).toBe(4 * 48);
  expect(seen).toEqual(Array.from({ length: sent }, (_, i) => i));
  // Who is idle, but not for too long, is left alone.
  expect(open).toBeGreaterThanOrEqual(idle);
  expect(mostBytes).toBeLessThan(boundBytes(idle + tricklers + 20));
  await Promise.all(idlers.map((client) => client.close()));
}

test(
  'clients that stall, idle, trickle and flood cost themselves, and no memory beyond the bound',
  async () => {
    if (process.platform !== 'linux') {
      skipped('overload', 'the memory of a process is read from /proc');
      return;
    }
    for (let i = 0; i < rounds; i += 1) {
      const directory = await makeTempDir();
      const broker = await BrokerProcess.start(directory.path, [], {
        MILLRACE_MAX_REQUEST_MEMORY_BYTES: String(maxRequestMemoryBytes),
        MILLRACE_MAX_FRAME_BYTES: String(maxFrameBytes),
        MILLRACE_MAX_IN_FLIGHT_BYTES_PER_CONNECTION: String(16 * MiB),
        MILLRACE_MAX_CONNECTIONS: '6000',
        MILLRACE_FIRST_REQUEST_TIMEOUT_MS: '120000',
        MILLRACE_REQUEST_TIMEOUT_MS: '10000',
        MILLRACE_SEND_STALL_TIMEOUT_MS: '3000',
      });
      try {
        const admin = new Millrace({ brokers: [broker.address] });
        await admin.admin.createTopic({ name: 'healthy', partitions: 1 });
        const { topicId } = await admin.admin.createTopic({ name: 'flooded', partitions: 1 });
        await admin.close();
        await flood(broker.address, topicId, { producers: 1, batches: 80 });
        await round(broker, topicId);
        const cut = (reason: string): Promise<number> =>
          metric(broker, `millrace_connections_cut_total{reason="${reason}"}`);
        expect(await cut('slow')).toBe(tricklers);
        expect(await cut('stalled')).toBe(stalled);
        expect(await cut('idle')).toBe(0);
        expect(broker.log.split('did not complete a request in requestTimeoutMs')).toHaveLength(
          tricklers + 1,
        );
        expect(broker.log.split('took none of its answers for sendStallTimeoutMs')).toHaveLength(
          stalled + 1,
        );
        expect(await broker.stop()).toBe(0);
      } finally {
        await broker.kill();
        await directory.remove();
      }
    }
  },
  faultTimeoutMs('overload'),
);
