import { HistoryRecorder } from '../checker/recorder.js';
import { Load } from '../load/load.js';
import type { LoadShape, LoadTopic } from '../load/load.js';
import { KeyedLoad } from './keyed-load.js';
import { TopicMaker } from './topic-maker.js';

const SEGMENT_BYTES = 64 * 1024;

const sizes = { 'segment.bytes': String(SEGMENT_BYTES), 'max.message.bytes': '65536' };
/** With room for huge pages, which come and go with what is synced: their end cuts the file. */
const large = { 'segment.bytes': String(4 * 1024 * 1024) };
const topic = (name: string, partitions: number, retention = false): LoadTopic => ({
  ...{ name, partitions, retention },
  config: retention ? { ...sizes, 'retention.bytes': String(4 * SEGMENT_BYTES) } : sizes,
});

const options = { batchBytes: 8 * 1024 };
const rate = { maxValueBytes: 4_000, messagesPerSecond: 600, options };

/** `cached` has only what a power cut may take: nobody but the clock asks for its syncs. */
const shape: LoadShape = {
  topics: [
    topic('synced', 3),
    { ...topic('mixed', 2), config: large },
    topic('cached', 2),
    topic('retained', 1, true),
  ],
  producers: [
    { ...rate, topicIndex: 0, acks: 'all' },
    { ...rate, topicIndex: 0, acks: 'all', options: { ...options, compression: 'lz4' } },
    { ...rate, topicIndex: 1, acks: 'all' },
    { ...rate, topicIndex: 1, acks: 1 },
    { ...rate, topicIndex: 2, acks: 1 },
    { ...rate, topicIndex: 2, acks: 1, options: { ...options, compression: 'zstd' } },
    { ...rate, topicIndex: 3, acks: 'all' },
    { ...rate, topicIndex: 3, acks: 1 },
  ],
};

const COMPACTED = 'compacted';

/** Everything at once: producers, readers, a group, a compacted topic, and topics that come and go. */
export class CutLoad {
  readonly history = new HistoryRecorder();
  readonly #load: Load;
  readonly #keyed: KeyedLoad;
  readonly #topics: TopicMaker;

  constructor(
    address: string,
    random: () => number,
    /** Whether topics come and go. */
    private readonly changesTopics: boolean,
  ) {
    this.#load = new Load(address, this.history, random, { shape, impatient: false });
    this.#keyed = new KeyedLoad(this.#load.client('keyed'), COMPACTED, random);
    this.#topics = new TopicMaker(this.#load.client('topics'), random);
  }

  /** Makes the topics and starts everything. The broker has to be there. */
  async start(): Promise<void> {
    const { admin } = this.#load.client('admin of keys');
    const compaction = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.1' };
    await admin.createTopic({ name: COMPACTED, config: { ...sizes, ...compaction } });
    await this.#load.createTopics();
    this.#load.start();
    this.#keyed.start();
    if (this.changesTopics) this.#topics.start();
  }

  /** Messages acknowledged so far. */
  get acknowledged(): number {
    return this.#load.acknowledged;
  }

  /** Whether the group has committed something. */
  get committed(): boolean {
    return this.history.commits.length > 0;
  }

  /** Changes of topics acknowledged so far. */
  get topicChanges(): number {
    return this.#topics.acknowledged;
  }

  /** Codes of deliveries that failed, and how often. */
  get failures(): Readonly<Record<string, number>> {
    const all: Record<string, number> = {};
    for (const { failures } of this.#load.producers) {
      for (const [code, count] of failures) all[code] = (all[code] ?? 0) + count;
    }
    return all;
  }

  /**
   * Sends no more, waits until every fate is known and every reader has everything, reads what is left into
   * the history, and says what else is wrong, in words.
   */
  async finish(): Promise<string[]> {
    await Promise.all([this.#keyed.stop(), this.#topics.stop()]);
    await this.#load.finish();
    return [
      ...this.#load.failures,
      ...(await this.#keyed.problems()),
      ...(await this.#topics.problems()),
    ];
  }

  async close(): Promise<void> {
    await Promise.all([this.#keyed.stop(), this.#topics.stop(), this.#load.close()]);
  }
}
