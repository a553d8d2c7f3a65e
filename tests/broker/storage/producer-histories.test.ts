import { readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { applyRetention } from '../../../broker/src/storage/retention.js';
import { REMEMBERED_BATCHES } from '../../../broker/src/storage/producer-states.js';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { chunksOf, makeBatch, readAll, rejection } from '../../support/batches.js';
import { seededRandom, testSeed } from '../../support/seed.js';
import {
  crashCopy,
  createTopic,
  logDirectory,
  openTestStorage,
  partitionOf,
} from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const HISTORIES = 12;
const STEPS = 60;
/** So many that a snapshot goes only with every second checkpoint. */
const CROWD = 1_050;
/** Of those, the ones that go on sending. */
const SENDERS = 8;

interface SentBatch {
  readonly baseSequence: number;
  readonly records: number;
  readonly baseOffset: number;
}

/** A partition whose segments go and whose broker stops, and what its producers were told. */
class History {
  readonly #sent = new Map<number, SentBatch[]>();
  /** Where every record that was stored lies, by its value. */
  readonly #stored = new Map<string, number>();
  /** The sealed segments as they were before some of them went, by the names of their files. */
  #before = new Map<string, Buffer>();
  readonly steps: string[] = [];

  private constructor(
    private readonly random: () => number,
    private dir: Awaited<ReturnType<typeof makeTempDir>>,
    private storage: TestStorage,
    private partition: Partition,
  ) {}

  static async begin(random: () => number): Promise<History> {
    const dir = await makeTempDir();
    const storage = await openTestStorage(dir.path, { config: { checkpointIntervalMs: 1_000 } });
    const partition = await createTopic(storage, {
      ...{ 'segment.bytes': '4096', 'max.message.bytes': '4096', 'retention.bytes': '16384' },
    });
    return new History(random, dir, storage, partition);
  }

  async run(): Promise<void> {
    if (this.#chance(0.3)) {
      for (let id = SENDERS; id < CROWD; id += 1) await this.#send(id);
    }
    for (let i = 0; i < STEPS; i += 1) await this.#step();
    await this.#restart(this.#chance(0.5));
    await this.#repeatAll();
    for (let id = 0; id < SENDERS; id += 1) {
      await this.#gap(id);
      await this.#send(id);
    }
    await this.#checkStored();
  }

  async end(): Promise<void> {
    await this.storage.close();
    await this.dir.remove();
  }

  async #step(): Promise<void> {
    const id = this.#below(SENDERS);
    const steps: readonly (readonly [weight: number, what: string, run: () => Promise<unknown>])[] =
      [
        [10, 'send', () => this.#send(id)],
        [4, 'repeat', () => this.#repeat(id)],
        [1, 'gap', () => this.#gap(id)],
        [2, 'seal', () => this.#log().seal()],
        [3, 'time', () => this.#wait()],
        [4, 'delete all', () => this.#remove(1)],
        [3, 'delete some', () => this.#remove(this.random())],
        [2, 'retain', () => applyRetention(this.#log(), this.storage.clock.nowMs)],
        [4, 'kill', () => this.#restart(true)],
        [4, 'clean restart', () => this.#restart(false)],
      ];
    let at = this.random() * steps.reduce((sum, [weight]) => sum + weight, 0);
    const step = steps.find(([weight]) => (at -= weight) < 0);
    this.steps.push(`${step?.[1]} ${id}`);
    await step?.[2]();
  }

  /** The next batch of a producer is stored, and at the end of the log. */
  async #send(id: number): Promise<void> {
    const sent = this.#batchesOf(id);
    const last = sent.at(-1);
    const baseSequence = last === undefined ? 0 : last.baseSequence + last.records;
    const records = 1 + this.#below(3);
    const { endOffset } = this.partition;
    const batch = this.#batch(id, baseSequence, records);
    const baseOffset = await this.#append(batch, this.#chance(0.5) ? -1 : 1);
    expect(baseOffset).toBeGreaterThanOrEqual(endOffset);
    sent.push({ baseSequence, records, baseOffset });
    for (let i = 0; i < records; i += 1) {
      this.#stored.set(`${id}:${baseSequence}#${i}`, baseOffset + i);
    }
  }

  /** A batch that was stored is not stored again, however long ago. */
  async #repeat(id: number): Promise<void> {
    const sent = this.#batchesOf(id);
    const back = 1 + this.#below(Math.min(sent.length, REMEMBERED_BATCHES + 2));
    const again = sent.at(-back);
    if (again === undefined) return;
    const { endOffset } = this.partition;
    const answer = this.#append(this.#batch(id, again.baseSequence, again.records), 1);
    if (back <= REMEMBERED_BATCHES) expect(await answer).toBe(again.baseOffset);
    else expect((await rejection(answer)).errorName).toBe('DUPLICATE_SEQUENCE_NUMBER');
    expect(this.partition.endOffset).toBe(endOffset);
  }

  async #repeatAll(): Promise<void> {
    for (let id = 0; id < SENDERS; id += 1) await this.#repeat(id);
  }

  async #gap(id: number): Promise<void> {
    const last = this.#batchesOf(id).at(-1);
    if (last === undefined) return;
    const batch = this.#batch(id, last.baseSequence + last.records + 1, 1);
    const { errorName } = await rejection(this.#append(batch, 1));
    expect(errorName).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
  }

  async #remove(share: number): Promise<void> {
    const { startOffset, highWatermark } = this.partition;
    this.#before = new Map();
    for (const { logPath } of this.#log().sealedSegments()) {
      this.#before.set(basename(logPath), await readFile(logPath));
    }
    const upTo = startOffset + Math.floor(share * (highWatermark - startOffset));
    expect(await this.partition.deleteRecords(upTo)).toBe(upTo);
  }

  #wait(): Promise<void> {
    this.storage.clock.advance(1_500);
    return Promise.resolve();
  }

  async #restart(kill: boolean): Promise<void> {
    const { clock } = this.storage;
    const copy = kill ? await crashCopy(this.dir.path) : undefined;
    await this.storage.close();
    if (copy !== undefined) {
      if (this.#chance(0.3)) await this.#bringBack(copy.path);
      await this.dir.remove();
      this.dir = copy;
    }
    this.storage = await openTestStorage(this.dir.path, {
      ...{ clock, config: { checkpointIntervalMs: 1_000 } },
    });
    this.partition = partitionOf(this.storage);
    expect(this.partition.problem).toBeUndefined();
    await this.#checkStored();
    // Not always: it makes the segment that is appended to.
    if (this.#chance(0.4)) await this.#repeatAll();
  }

  /** A removal whose directory was not synced is undone by a power cut, here and there. */
  async #bringBack(dataDir: string): Promise<void> {
    const directory = logDirectory(dataDir, this.partition);
    for (const [name, bytes] of this.#before) {
      const path = join(directory, name);
      if (!existsSync(path) && this.#chance(0.6)) await writeFile(path, bytes);
    }
  }

  /** What is readable is what was stored, where it was stored, and once. */
  async #checkStored(): Promise<void> {
    const records = await readAll(this.partition, this.partition.startOffset);
    for (const { value, offset } of records) {
      expect(offset).toBe(this.#stored.get(value.replace(/\.+$/, '')));
    }
    const expected = [...this.#stored.values()].filter((at) => at >= this.partition.startOffset);
    expect(records).toHaveLength(expected.length);
  }

  #batch(producerId: number, baseSequence: number, records: number): Buffer {
    const tag = `${producerId}:${baseSequence}`;
    const stamp = { producerId, producerEpoch: 0, baseSequence };
    return makeBatch({ ...stamp, records, tag, valueBytes: producerId < SENDERS ? 400 : 12 });
  }

  async #append(batch: Buffer, acks: 1 | -1): Promise<number> {
    return (await this.partition.append(chunksOf(batch), acks)).baseOffset;
  }

  #batchesOf(id: number): SentBatch[] {
    const known = this.#sent.get(id) ?? [];
    this.#sent.set(id, known);
    return known;
  }

  #log(): NonNullable<Partition['log']> {
    if (this.partition.log === undefined) throw new Error('offline');
    return this.partition.log;
  }

  #below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  #chance(probability: number): boolean {
    return this.random() < probability;
  }
}

describe('producers in any order of appends, removals, kills and clean restarts', () => {
  const seed = testSeed();

  test('are answered as if nothing had been removed or restarted', async () => {
    for (let i = 0; i < HISTORIES; i += 1) {
      const history = await History.begin(seededRandom(seed + i));
      try {
        await history.run();
      } catch (error) {
        process.stdout.write(`history ${i} of seed ${seed}: ${history.steps.join(', ')}\n`);
        throw error;
      } finally {
        await history.end();
      }
    }
  });
});
