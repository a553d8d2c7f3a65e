import { randomFillSync } from 'node:crypto';
import { truncateSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { loadNative } from '@millrace/native';
import { OutboundQueue } from '../../../broker/src/net/outbound-queue.js';
import { outletFactory } from '../../../broker/src/net/outlet-factory.js';
import type { FileRegion } from '../../../broker/src/storage/file-region.js';
import { openStorageFile } from '../../../broker/src/storage/persistence/file.js';
import type { StorageFile } from '../../../broker/src/storage/persistence/file.js';
import { until } from '../support/raw-client.js';
import { afterTest, temporaryDirectory } from '../support/temporary.js';

const native = loadNative();
const FILE_BYTES = 5 * 2 ** 20 + 123;
const content = randomFillSync(Buffer.alloc(FILE_BYTES));

/** A region that counts its releases. */
class TestRegion implements FileRegion {
  releases = 0;

  constructor(
    readonly file: StorageFile,
    readonly position: number,
    readonly length: number,
    readonly mappableBytes: number,
  ) {}

  release(): void {
    this.releases += 1;
  }

  get bytes(): Buffer {
    return content.subarray(this.position, this.position + this.length);
  }
}

/** Both ends of a connection on loopback; closed after the test. */
async function connectedPair(): Promise<{ sender: Socket; receiver: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver = connect({ port, host: '127.0.0.1' });
  const sender = await accepted;
  for (const socket of [sender, receiver]) socket.on('error', () => undefined);
  afterTest(() => {
    sender.destroy();
    receiver.destroy();
    server.close();
  });
  return { sender, receiver };
}

const strategies = [
  ...(['sendfile', 'mmap', 'copy'] as const).map((name) => ({ name, native, label: name })),
  { name: 'copy' as const, native: undefined, label: "copy on Node's own API" },
].filter(({ label, native: module }) => module !== undefined || label.includes('Node'));

test('the native module is there, so all strategies are tested', () => {
  expect(strategies).toHaveLength(4);
});

describe.each(strategies)('serve: $label', ({ name, native: module }) => {
  async function setUp(sendBytesPerTurn = 2 ** 20): Promise<{
    queue: OutboundQueue;
    sender: Socket;
    receiver: Socket;
    region: (position: number, length: number) => TestRegion;
    failures: unknown[];
  }> {
    const path = join(temporaryDirectory(), 'segment.log');
    writeFileSync(path, content);
    const file = openStorageFile(module, path, 'read');
    const outlets = outletFactory(name, module, 4);
    const { sender, receiver } = await connectedPair();
    const failures: unknown[] = [];
    const queue = new OutboundQueue(outlets.open(sender), {
      sendBytesPerTurn,
      onSent: () => undefined,
      onFailure: (error) => failures.push(error),
    });
    afterTest(() => {
      queue.close();
      outlets.close();
      file.close();
    });
    const region = (position: number, length: number): TestRegion =>
      new TestRegion(file, position, length, 8 * 2 ** 20);
    return { queue, sender, receiver, region, failures };
  }

  test('regions of any size and place arrive unchanged, in order, between buffers', async () => {
    const { queue, receiver, region } = await setUp();
    const regions = [
      region(0, 1),
      region(4_095, 2),
      region(4_000, 200),
      region(777, 3 * 2 ** 20),
      region(FILE_BYTES - 1, 1),
    ];
    const expected: Buffer[] = [];
    for (const [index, part] of regions.entries()) {
      const head = Buffer.from(`head ${index}`);
      queue.push(head, [part]);
      expected.push(head, part.bytes);
    }
    const tail = region(10, 20_000);
    queue.push(Buffer.from('last'), [tail, Buffer.from('between'), region(0, 5)]);
    expected.push(Buffer.from('last'), tail.bytes, Buffer.from('between'), content.subarray(0, 5));
    const wanted = Buffer.concat(expected);
    const received: Buffer[] = [];
    let count = 0;
    receiver.on('data', (chunk: Buffer) => {
      received.push(chunk);
      count += chunk.length;
    });
    await until(() => count >= wanted.length);
    expect(Buffer.concat(received).equals(wanted)).toBe(true);
    await until(() => queue.depth === 0);
    expect(queue.bytes).toBe(0);
    expect([...regions, tail].map(({ releases }) => releases)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test('a slow reader gets the same bytes, and holds up nothing meanwhile', async () => {
    const { queue, receiver, region } = await setUp(64 * 1024);
    const regions = Array.from({ length: 8 }, (_, index) => region(index * 1_001, 3 * 2 ** 20));
    for (const part of regions) queue.push(Buffer.from('.'), [part]);
    let turns = 0;
    const received: Buffer[] = [];
    const wanted = Buffer.concat(regions.flatMap((part) => [Buffer.from('.'), part.bytes]));
    let count = 0;
    while (count < wanted.length) {
      await new Promise((resolve) => setImmediate(resolve));
      turns += 1;
      // One read at a time: the sender finds the socket full again and again.
      const chunk = receiver.read() as Buffer | null;
      if (chunk === null) continue;
      received.push(chunk);
      count += chunk.length;
    }
    expect(turns).toBeGreaterThan(8);
    expect(Buffer.concat(received).equals(wanted)).toBe(true);
    await until(() => queue.depth === 0);
    expect(regions.every(({ releases }) => releases === 1)).toBe(true);
  });

  test('of a file that was cut within a region nothing is sent, and the error says so', async () => {
    const { queue, receiver, region, failures } = await setUp();
    const whole = region(0, 100_000);
    const cut = region(200_000, 300_000);
    truncateSync(whole.file.path, 400_001);
    const received: Buffer[] = [];
    receiver.on('data', (chunk: Buffer) => received.push(chunk));
    queue.push(Buffer.from('a'), [whole]);
    await until(() => queue.depth === 0);
    queue.push(Buffer.from('b'), [cut]);
    await until(() => failures.length > 0);
    expect(String(failures[0])).toMatch(
      /segment\.log ends at byte 400001, within the stored batch/,
    );
    expect([whole.releases, cut.releases]).toEqual([1, 1]);
    const wanted = Buffer.concat([Buffer.from('a'), whole.bytes, Buffer.from('b')]);
    await until(() => Buffer.concat(received).length >= wanted.length - 1);
    // Nothing of the cut region came, not what is left of it and no zeros.
    expect(wanted.subarray(0, Buffer.concat(received).length).equals(Buffer.concat(received))).toBe(
      true,
    );
  });

  test('when the reader vanishes every region is released exactly once', async () => {
    const { queue, receiver, region, failures } = await setUp();
    const regions = Array.from({ length: 12 }, () => region(0, 3 * 2 ** 20));
    for (const part of regions) queue.push(Buffer.from('.'), [part]);
    receiver.once('data', () => receiver.resetAndDestroy());
    await until(() => failures.length > 0);
    await until(() => regions.every(({ releases }) => releases > 0));
    const late = region(0, 10);
    queue.push(Buffer.from('late'), [late]);
    expect([...regions, late].every(({ releases }) => releases === 1)).toBe(true);
  });

  test('closing in the middle of a send releases every region exactly once', async () => {
    const { queue, region, failures } = await setUp();
    const regions = Array.from({ length: 12 }, () => region(0, 3 * 2 ** 20));
    for (const part of regions) queue.push(Buffer.from('.'), [part]);
    await until(() => regions[0]?.releases === 1);
    queue.close();
    queue.close();
    await until(() => regions.every(({ releases }) => releases > 0));
    await new Promise((resolve) => setImmediate(resolve));
    expect(regions.every(({ releases }) => releases === 1)).toBe(true);
    expect(failures).toHaveLength(0);
  });
});
