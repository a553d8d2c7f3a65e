import { ProtocolError } from '@millrace/protocol';
import { loadOffsets } from '../../../broker/src/groups/offsets-loader.js';
import { OffsetsStore } from '../../../broker/src/groups/offsets-store.js';
import { OffsetsTopic } from '../../../broker/src/groups/offsets-topic.js';
import { errnoOf, storageFailure } from '../../../broker/src/storage/errors.js';
import { ProducerIds } from '../../../broker/src/storage/producer-ids.js';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { cleanerFor, logOf } from '../../broker/storage/compaction/compacted-topic.js';
import { keyedBatch } from '../../broker/storage/compaction/segment-files.js';
import type { KeyedBatch } from '../../broker/storage/compaction/segment-files.js';
import { chunksOf } from '../../support/batches.js';
import { openTestStorage, silentLogger, TestClock } from '../../support/storage.js';
import type { PersistKind, TestStorage } from '../../support/storage.js';
import { Ledger } from './ledger.js';
import { recorder } from './recorder.js';

/** Small, so that a short life comes to the end of each many times. */
const config = {
  offsetCeilingBlock: 12,
  producerIdBlock: 2,
  // Room for a huge page at a time: none begins without.
  growStepMaxBytes: 4 * 1024 * 1024,
  hugePagesFromBytes: 2 * 1024,
  checkpointIntervalMs: 1_000,
} as const;

/** A storage with all that writes to its files, and a ledger of what it promised. */
export class World {
  readonly ledger = new Ledger(() => recorder.operations.length);
  /** What was refused, and by whom it should have been told in another way. */
  readonly untyped: unknown[] = [];
  refused = 0;
  #sequences = new Map<number, number>();

  private constructor(
    readonly root: string,
    readonly kind: PersistKind,
    readonly clock: TestClock,
    private parts: Parts,
  ) {}

  get storage(): TestStorage {
    return this.parts.storage;
  }

  get offsets(): OffsetsStore {
    return this.parts.offsets;
  }

  /** Opens what lies at `root`, with everything noted by the recorder that is begun. */
  static async open(root: string, kind: PersistKind, clock = new TestClock()): Promise<World> {
    return new World(root, kind, clock, await openParts(root, kind, clock));
  }

  partition(topic: string, index = 0): Partition | undefined {
    return this.storage.topics.byName(topic)?.partitions[index];
  }

  async createTopic(
    name: string,
    settings: Readonly<Record<string, string>> = {},
    partitions = 1,
  ): Promise<void> {
    const value = topicValue(partitions, settings);
    await this.#change(`topic ${name}`, value, async () => {
      await this.storage.topics.create({ name, partitions, config: settings });
    });
  }

  async addPartitions(name: string, total: number): Promise<void> {
    const settings = overridesOf(this.storage, name);
    await this.#change(`topic ${name}`, topicValue(total, settings), async () => {
      await this.storage.topics.addPartitions(name, total);
    });
  }

  async alterTopic(name: string, key: string, value: string): Promise<void> {
    const total = this.storage.topics.byName(name)?.partitions.length ?? 0;
    const settings = { ...overridesOf(this.storage, name), [key]: value };
    await this.#change(`topic ${name}`, topicValue(total, settings), async () => {
      await this.storage.topics.alterConfig(name, [{ key, value }]);
    });
  }

  async deleteTopic(name: string): Promise<void> {
    await this.#change(`topic ${name}`, undefined, () => this.storage.topics.delete(name));
  }

  /** Appends; resolves when it was acknowledged or refused. */
  async append(topic: string, batch: KeyedBatch, acks: 1 | -1 = -1, index = 0): Promise<void> {
    const partition = this.partition(topic, index);
    if (partition === undefined) return;
    const log = logName(partition);
    this.ledger.note({ type: 'sent', log, batch });
    await this.attempt(async () => {
      const appending = partition.append(chunksOf(keyedBatch(batch)), acks);
      // Whoever reads now may see it already.
      const see = (): void => this.ledger.note({ type: 'visible', log, end: partition.endOffset });
      see();
      const { baseOffset } = await appending;
      see();
      this.ledger.note({ type: 'appended', log, offset: baseOffset, batch, acks });
    });
  }

  /** Sends a batch once more; the offset that it is answered with, -1 where it is refused. */
  async repeat(topic: string, batch: KeyedBatch, index: number): Promise<number> {
    const partition = this.partition(topic, index);
    const again = (): ReturnType<Partition['append']> | undefined =>
      partition?.append(chunksOf(keyedBatch(batch)), -1);
    return (await this.attempt(async () => again()))?.baseOffset ?? -1;
  }

  /** The next batch of an idempotent producer. */
  idempotent(producerId: number, records: KeyedBatch['records']): KeyedBatch {
    const baseSequence = this.#sequences.get(producerId) ?? 0;
    this.#sequences.set(producerId, baseSequence + records.length);
    return { records, producerId, baseSequence };
  }

  /** Undefined where it was refused. */
  async newProducer(): Promise<number | undefined> {
    return this.attempt(async () => {
      const id = await this.#nextProducerId();
      this.ledger.note({ type: 'producer-id', id });
      return id;
    });
  }

  /** As the storage gives them out. */
  async #nextProducerId(): Promise<number> {
    try {
      return await this.parts.producerIds.next();
    } catch (error) {
      throw storageFailure('reserve producer ids', error);
    }
  }

  async commit(group: string, topic: string, offset: number): Promise<void> {
    const topicId = this.storage.topics.byName(topic)?.id;
    if (topicId === undefined) return;
    const row = { topicId, partition: 0, leaderEpoch: 0, metadata: null, commitTimeMs: 1 };
    await this.#change(`commit ${group} ${topicId}`, String(offset), () =>
      this.offsets.commit(group, [{ ...row, offset }]),
    );
  }

  async deleteRecords(topic: string, before: number): Promise<void> {
    const partition = this.partition(topic);
    if (partition === undefined) return;
    const log = logName(partition);
    this.ledger.note({ type: 'deleting', log, before });
    await this.attempt(async () => {
      await partition.deleteRecords(before);
      this.ledger.note({ type: 'deleted', log, before });
    });
  }

  async seal(topic: string): Promise<void> {
    const partition = this.partition(topic);
    if (partition?.log !== undefined) await this.attempt(() => logOf(partition).seal());
  }

  async compact(): Promise<void> {
    // A log that could not be compacted is left alone for a while.
    this.clock.advance(3_600_001);
    const cleaner = cleanerFor(this.storage);
    await cleaner.tick();
    await cleaner.close();
  }

  /** A stop in good order, as far as that goes, and a start; a second one where that fails. */
  async restart(): Promise<void> {
    await this.stop();
    const open = (): Promise<Parts> => openParts(this.root, this.kind, this.clock);
    this.parts = await open().catch(open);
  }

  async close(): Promise<void> {
    await this.offsets.close();
    await this.storage.close();
  }

  /** A stop in good order; what keeps it from being one is told to nobody but the operator. */
  async stop(): Promise<void> {
    await this.attempt(async () => {
      try {
        await this.close();
      } catch (error) {
        if (errnoOf(error) === undefined) throw error;
        throw storageFailure('stop', error);
      }
    });
  }

  /** Ends it as a kill would, as far as files are concerned: nothing more is noted. */
  async abandon(): Promise<void> {
    await this.close().catch(() => undefined);
  }

  /** Undefined where it was refused; every refusal has to be of the closed table of errors. */
  async attempt<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      this.refused += 1;
      if (!(error instanceof ProtocolError)) this.untyped.push(error);
      return undefined;
    }
  }

  async #change(
    register: string,
    value: string | undefined,
    change: () => Promise<void>,
  ): Promise<void> {
    this.ledger.note({ type: 'changing', register, value });
    await this.attempt(async () => {
      try {
        await change();
      } catch (error) {
        this.ledger.note({ type: 'refused', register, value });
        throw error;
      }
      this.ledger.note({ type: 'changed', register, value });
    });
  }

  /** What each register holds. */
  registers(): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    for (const { id, name, partitions } of this.storage.topics.list()) {
      if (name.startsWith('__')) continue;
      found.set(`topic ${name}`, topicValue(partitions.length, overridesOf(this.storage, name)));
      for (const group of this.offsets.groupIds()) {
        const committed = this.offsets.committed(group, id, 0);
        if (committed !== undefined) found.set(`commit ${group} ${id}`, String(committed.offset));
      }
    }
    return found;
  }
}

/** How the ledger names a log: a topic that is made again has others. */
export function logName({ topicId, index }: Partition): string {
  return `${topicId}-${index}`;
}

/** What is opened at a start. */
interface Parts {
  readonly storage: TestStorage;
  readonly producerIds: ProducerIds;
  readonly offsets: OffsetsStore;
}

async function openParts(root: string, kind: PersistKind, clock: TestClock): Promise<Parts> {
  const storage = await openTestStorage(root, { kind, clock, config });
  const { topics, dataDir } = storage;
  const producerIds = await ProducerIds.load(dataDir.path, config.producerIdBlock, {
    ...{ isNew: !dataDir.hadTopics, nowMs: clock.nowMs, logger: silentLogger },
  });
  const topic = new OffsetsTopic(topics, silentLogger);
  const loaded = await loadOffsets(topic.partition, silentLogger);
  const offsets = new OffsetsStore({
    ...{ topic, table: loaded.table, problem: loaded.problem, logger: silentLogger },
    topicExists: (topicId) => topics.byId(topicId) !== undefined,
    maxRecordsPerBatch: storage.environment.config.maxRecordsPerBatch,
    nowMs: clock.now,
  });
  return { storage, producerIds, offsets };
}

function topicValue(partitions: number, settings: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([partitions, sorted]);
}

function overridesOf(storage: TestStorage, name: string): Readonly<Record<string, string>> {
  const entries = storage.topics.byName(name)?.describeConfig() ?? [];
  return Object.fromEntries(
    entries.filter(({ source }) => source === 'topic').map(({ key, value }) => [key, value]),
  );
}
