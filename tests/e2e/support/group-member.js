/*
 * A process with members of one group, as told by its parent: `{ join: spec }`, `{ leave: name }`,
 * `{ block: ms }`, `{ end: true }`. It tells by IPC what it did, and logs it to a file per member.
 */
import { clearTimeout, setTimeout } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Millrace } from '@millrace/client';
import { MemberLog } from './member-log.js';

/** Messages between two pauses, and two commits by hand, where they are handled one by one. */
const MESSAGES_PER_STEP = 500;
/** After how long without a message a member that commits by hand does so. */
const IDLE_AFTER_MS = 200;

const [address, group, topic, directory] = process.argv.slice(2);
const members = new Map();

class Member {
  #spec;
  #log;
  #client;
  #consumer;
  #leaving = false;
  #waiting = false;
  #generation = -1;
  #memberId = '';
  /** The next message of each partition, in an object that is another when it comes again. */
  #stands = new Map();
  #handled = 0;
  #done;

  constructor(spec) {
    this.#spec = spec;
    this.#log = new MemberLog(directory, spec.name);
    this.#client = new Millrace({
      brokers: [address],
      clientId: spec.name,
      onEvent: (event) => this.#onEvent(event),
    });
    this.#consumer = this.#client.consumer({
      group,
      topics: [topic],
      maxWaitMs: 100,
      ...spec.options,
    });
    this.#consumer.on('assigned', (partitions) => this.#onAssigned(partitions));
    this.#consumer.on('revoked', (partitions) => this.#onRevoked(partitions));
    this.#consumer.on('lost', (partitions) => this.#onGone('lost', partitions));
    this.#done = this.#run();
  }

  /** Between two messages: what is handled is committed, nothing is in hand. */
  async leave() {
    this.#leaving = true;
    if (this.#waiting) await this.#consumer.close();
    await this.#done;
  }

  async #run() {
    try {
      await this.#consumer.start();
      await (this.#spec.batches ? this.#readBatches() : this.#readMessages());
    } catch (error) {
      this.#log.write({ type: 'failed', error: `${error.code ?? error.name}: ${error.message}` });
      this.#tell({ type: 'failed', code: error.code, error: error.name, message: error.message });
    }
    await this.#client.close();
    this.#log.write({ type: 'closed' });
    members.delete(this.#spec.name);
    this.#tell({ type: 'left' });
  }

  async #readBatches() {
    const batches = this.#consumer.batches();
    for (;;) {
      const batch = await this.#take(batches);
      if (batch === undefined) return;
      const { partition, baseOffset, lastOffset } = batch;
      this.#log.delivered(partition, baseOffset, lastOffset, this.#generation);
      const stand = this.#stands.get(partition);
      for (const message of batch) this.#check(message);
      await sleep(this.#spec.delayMs);
      stand.next = lastOffset + 1;
      if (await this.#step()) return;
    }
  }

  async #readMessages() {
    const messages = this.#consumer[Symbol.asyncIterator]();
    for (;;) {
      const message = await this.#take(messages);
      if (message === undefined) return;
      const { partition, offset } = message;
      this.#log.delivered(partition, offset, offset, this.#generation);
      const stand = this.#stands.get(partition);
      this.#check(message);
      this.#handled += 1;
      const pauses = this.#handled % MESSAGES_PER_STEP === 0;
      if (pauses) await sleep(this.#spec.delayMs);
      stand.next = offset + 1;
      if ((pauses || this.#leaving) && (await this.#step())) return;
    }
  }

  async #take(iterator) {
    this.#waiting = true;
    const byHand = this.#spec.options.autoCommit === false;
    // Nothing comes: what was handled since the last step must not wait for more.
    const idle = byHand ? setTimeout(() => void this.#commit(), IDLE_AFTER_MS) : undefined;
    const { value } = await iterator.next();
    clearTimeout(idle);
    this.#waiting = false;
    return value;
  }

  /** At the end of a loop's body. True when that was the last. */
  async #step() {
    this.#log.flush();
    if (this.#leaving || this.#spec.options.autoCommit === false) await this.#commit();
    if (this.#leaving) await this.#consumer.close();
    return this.#leaving;
  }

  async #commit(what) {
    try {
      await this.#consumer.commit(what);
    } catch (error) {
      if (error.code !== 'REBALANCED') throw error;
      this.#log.write({ type: 'refused', error: error.message });
    }
  }

  #check({ partition, offset, value }) {
    const number = value.readUInt32LE(0);
    if (number === offset * this.#spec.partitions + partition) return;
    this.#log.write({ type: 'wrong', partition, offset, number });
  }

  #onAssigned(partitions) {
    const starts = partitions.map(({ partition }) => [
      partition,
      this.#consumer.position(topic, partition),
    ]);
    for (const [partition, next] of starts) this.#stands.set(partition, { next });
    this.#log.write({ type: 'assigned', generation: this.#generation, starts });
    this.#tell({ type: 'assigned', starts });
  }

  async #onRevoked(partitions) {
    this.#onGone('revoked', partitions);
    if (this.#spec.options.autoCommit !== false) return;
    await this.#commit(
      partitions.map(({ partition }) => ({
        topic,
        partition,
        offset: this.#stands.get(partition).next,
      })),
    );
  }

  #onGone(type, partitions) {
    const gone = partitions.map(({ partition }) => partition);
    this.#log.write({ type, partitions: gone });
    this.#tell({ type, partitions: gone });
  }

  #onEvent(event) {
    if (event.type === 'rebalance' && event.phase === 'assigned') {
      this.#generation = event.generation;
      this.#memberId = event.memberId;
      this.#log.write({ ...event, type: 'joined' });
      this.#tell({ type: 'joined' });
    } else if (event.type === 'warning' || event.type === 'retry') {
      const { action, error } = event;
      this.#log.write({ type: event.type, action, code: error.code, error: error.message });
    }
  }

  #tell(told) {
    if (!process.connected) return;
    const { name } = this.#spec;
    process.send({ name, memberId: this.#memberId, generation: this.#generation, ...told });
  }
}

/** Computes, so to speak: nothing else runs on this thread meanwhile. */
function block(durationMs) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
  process.send({ name: '', type: 'unblocked' });
}

async function end() {
  await Promise.all([...members.values()].map((member) => member.leave()));
  process.exit(0);
}

process.on('message', (order) => {
  if (order.join !== undefined) members.set(order.join.name, new Member(order.join));
  if (order.leave !== undefined) void members.get(order.leave).leave();
  if (order.block !== undefined) block(order.block);
  if (order.end === true) void end();
});
process.on('disconnect', () => process.exit(1));
process.send({ name: '', type: 'ready' });
