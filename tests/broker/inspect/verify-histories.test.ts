import { expect, test } from '@jest/globals';
import { crashCopy, persistKinds } from '../../support/storage.js';
import { seededRandom, testSeed } from '../../support/seed.js';
import { CompactedTopic } from '../storage/compaction/compacted-topic.js';
import { records } from '../storage/compaction/segment-files.js';
import { afterTest, temporaryDirectory } from '../support/temporary.js';
import { CODECS, verified } from './sample-data.js';

const STEPS = 60;

/** What happens to a log over its life; each leaves files that a broker starts with. */
class History {
  private constructor(
    private topic: CompactedTopic,
    private readonly random: () => number,
  ) {}

  static async begin(random: () => number): Promise<History> {
    const kind = persistKinds[Math.floor(random() * persistKinds.length)] ?? 'write';
    const config = { 'cleanup.policy': 'compact,delete', 'index.interval.bytes': '1024' };
    const path = temporaryDirectory();
    return new History(await CompactedTopic.create(path, { kind }, config), random);
  }

  get path(): string {
    return this.topic.path;
  }

  /** Does one thing, and says what. */
  async step(): Promise<string> {
    const roll = this.#below(20);
    if (roll < 11) return this.#append();
    if (roll < 13) return this.#compact();
    if (roll < 15) return this.#delete();
    if (roll < 16) return this.#seal();
    if (roll < 18) return this.#restart();
    return this.#crash();
  }

  close(): Promise<void> {
    return this.topic.storage.close();
  }

  async #append(): Promise<string> {
    const count = 1 + this.#below(8);
    for (let i = 0; i < count; i += 1) {
      const keys = Array.from({ length: 1 + this.#below(5) }, () => this.#below(12));
      const text = keys.map((key) => {
        const value = 'v'.repeat(this.#below(400));
        return this.#below(6) === 0 ? `k${key}` : `k${key}=${value}`;
      });
      const compression = CODECS[this.#below(CODECS.length)] ?? 'none';
      await this.topic.append({ records: records(text.join(' ')), compression });
    }
    return `append ${count}`;
  }

  async #compact(): Promise<string> {
    this.topic.storage.clock.advance(this.#below(2) * 86_400_000);
    await this.topic.compact();
    return 'compact';
  }

  async #delete(): Promise<string> {
    const { log } = this.topic;
    const span = log.nextOffset - log.startOffset;
    const offset = log.startOffset + this.#below(span + 1);
    await log.removeBefore(offset, 'a test');
    return `delete to ${offset}`;
  }

  async #seal(): Promise<string> {
    await this.topic.log.seal();
    return 'seal';
  }

  async #restart(): Promise<string> {
    await this.topic.restart();
    return 'restart';
  }

  /** Goes on with a copy of what a killed broker leaves. */
  async #crash(): Promise<string> {
    const copy = await crashCopy(this.topic.path);
    afterTest(copy.remove);
    await this.topic.storage.close();
    this.topic = await CompactedTopic.open(copy.path, this.topic.options);
    return 'crash';
  }

  #below(count: number): number {
    return Math.floor(this.random() * count);
  }
}

test('whatever a log went through, no damage is found that is none', async () => {
  const random = seededRandom(testSeed());
  for (let round = 0; round < 4; round += 1) {
    const history = await History.begin(random);
    const steps: string[] = [];
    for (let n = 0; n < STEPS; n += 1) {
      steps.push(await history.step());
      if (random() > 0.3) continue;
      const copy = await crashCopy(history.path);
      const { damage } = await verified(copy.path);
      await copy.remove();
      expect([steps, damage]).toEqual([steps, []]);
    }
    await history.close();
    const { cleanStop, damage } = await verified(history.path);
    expect([steps, cleanStop, damage]).toEqual([steps, true, []]);
  }
});
