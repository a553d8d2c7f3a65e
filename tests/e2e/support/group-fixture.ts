import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';
import { Millrace, type ClientOptions, type GroupConsumerOptions } from '@millrace/client';
import { BrokerProcess } from '../../support/broker-process.js';
import { makeTempDir } from '../../support/temp-dir.js';
import { MemberProcess, type MemberSpec } from './member-process.js';
import { Reader, until, type MessageHandler } from './reader.js';

/** Of each topic of these tests. */
export const PARTITIONS = 4;
/** Longer than any test may take: who waits for such a session to end fails. */
export const ENDLESS_SESSION_MS = 600_000;
/** Short, but long enough for a busy machine to send a heartbeat. */
export const SHORT_SESSION_MS = 2_500;

/** A broker process with topic `t`, and members of group `g`; all cleaned up after each test. */
export class GroupFixture {
  readonly client: Millrace;
  readonly #directory: string;
  readonly #cleanUp: (() => Promise<unknown>)[] = [];
  #broker: BrokerProcess;

  private constructor(directory: string, broker: BrokerProcess) {
    this.#directory = directory;
    this.#broker = broker;
    this.client = new Millrace({ brokers: [broker.address], reconnectBackoffMaxMs: 200 });
  }

  static async start(directory: string): Promise<GroupFixture> {
    const broker = await BrokerProcess.start(join(directory, 'data'));
    const fixture = new GroupFixture(directory, broker);
    await fixture.client.admin.createTopic({ name: 't', partitions: PARTITIONS });
    return fixture;
  }

  get broker(): BrokerProcess {
    return this.#broker;
  }

  /** As `kill -9` and another start on the same port. */
  async restartBroker(): Promise<void> {
    const { address } = this.#broker;
    await this.#broker.kill();
    const args = ['--listen', address];
    this.#broker = await BrokerProcess.start(join(this.#directory, 'data'), args);
  }

  /** A member in this process. */
  read(
    options: Partial<GroupConsumerOptions> = {},
    client: Partial<ClientOptions> = {},
    handle?: MessageHandler,
  ): Reader {
    const defaults = { group: 'g', topics: ['t'], sessionTimeoutMs: ENDLESS_SESSION_MS };
    const reader = new Reader(this.broker.address, { ...defaults, ...options }, client, handle);
    this.#cleanUp.push(() => reader.client.close());
    return reader;
  }

  /** A member in a process of its own. */
  async fork(options: MemberSpec['options']): Promise<MemberProcess> {
    const directory = join(this.#directory, 'logs');
    await mkdir(directory, { recursive: true });
    const { address } = this.broker;
    const child = new MemberProcess({ address, group: 'g', topic: 't', directory });
    this.#cleanUp.push(() => child.kill());
    const spec = { options, partitions: PARTITIONS, batches: false, delayMs: 0 };
    await child.join({ ...spec, name: 'child' });
    return child;
  }

  /** Sends numbers to the partitions in turn; resolves when all are acknowledged by `acks=all`. */
  async produce(from: number, to: number, topic = 't', partitions = PARTITIONS): Promise<void> {
    const producer = this.client.producer();
    const sent: Promise<unknown>[] = [];
    for (let value = from; value < to; value += 1) {
      sent.push(producer.send(topic, { value: String(value), partition: value % partitions }));
    }
    await Promise.all(sent);
    await producer.close();
  }

  async committed(): Promise<(number | null)[]> {
    const offsets = await this.client.admin.groupOffsets('g');
    return offsets.map(({ committedOffset }) => committedOffset);
  }

  /** Until everything that was sent is handled and committed. */
  async drained(): Promise<void> {
    await until(async () => {
      const offsets = await this.client.admin.groupOffsets('g');
      return offsets.every(({ lag }) => lag === 0);
    });
  }

  /** Until the group has so many members and no rebalance under way. */
  async stable(memberCount: number): Promise<void> {
    await until(async () => {
      const { members, state } = await this.client.admin.describeGroup('g');
      return state === 'Stable' && members.length === memberCount;
    });
  }

  async end(): Promise<void> {
    for (const step of this.#cleanUp.splice(0).reverse()) await step();
    await this.client.close();
    await this.#broker.kill();
  }
}

/** Makes a fixture anew for each test; call the result within one. */
export function useGroup(): () => GroupFixture {
  let directory: Awaited<ReturnType<typeof makeTempDir>> | undefined;
  let fixture: GroupFixture | undefined;
  beforeEach(async () => {
    directory = await makeTempDir();
    fixture = await GroupFixture.start(directory.path);
  });
  afterEach(async () => {
    await fixture?.end();
    await directory?.remove();
  });
  return () => {
    if (fixture === undefined) throw new Error('Not within a test');
    return fixture;
  };
}

/** `from` to before `to` as text. */
export function texts(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => String(from + index));
}

/** By number. */
export function sorted(values: Iterable<string>): string[] {
  return [...values].sort((a, b) => Number(a) - Number(b));
}

/** Names of all partitions of a topic. */
export function allOf(topic: string): string[] {
  return texts(0, PARTITIONS).map((partition) => `${topic}-${partition}`);
}
