import type { Millrace } from '@millrace/client';

/** What a topic was last asked to be, and whether the broker said yes. */
interface MadeTopic {
  readonly name: string;
  id: string | undefined;
  partitions: number;
  state: 'creating' | 'created' | 'growing' | 'deleting' | 'deleted';
}

/**
 * Creates topics, adds partitions to some and deletes some, one after another. What was acknowledged is so
 * after a power cut; what was not is so or not.
 */
export class TopicMaker {
  readonly #topics: MadeTopic[] = [];
  #stopping = false;
  #done: Promise<void> | undefined;

  constructor(
    private readonly client: Millrace,
    private readonly random: () => number,
  ) {}

  /** How many changes were acknowledged. */
  acknowledged = 0;

  start(): void {
    this.#done ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  /** What is wrong with the topics that are there, in words. */
  async problems(): Promise<string[]> {
    const there = await this.client.admin.listTopics();
    const byName = new Map(there.map((topic) => [topic.name, topic]));
    return this.#topics.flatMap(({ name, id, partitions, state }) => {
      const found = byName.get(name);
      if (state === 'creating' || state === 'deleting') return [];
      if (state === 'deleted')
        return found === undefined ? [] : [`${name} was deleted, and is there`];
      if (found === undefined) return [`${name} was created, and is not there`];
      if (found.topicId !== id)
        return [`${name} was created as ${id ?? ''}, and is ${found.topicId} now`];
      const right =
        found.partitions === partitions ||
        (state === 'growing' && found.partitions === partitions + 1);
      return right ? [] : [`${name} has ${found.partitions} partitions instead of ${partitions}`];
    });
  }

  async #run(): Promise<void> {
    const { admin } = this.client;
    while (!this.#stopping) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const topic: MadeTopic = {
        name: `made-${this.#topics.length}`,
        ...{ id: undefined, partitions: 1 + Math.floor(this.random() * 3), state: 'creating' },
      };
      this.#topics.push(topic);
      await this.#try(async () => {
        const { name, partitions } = topic;
        topic.id = (await admin.createTopic({ name, partitions })).topicId;
        topic.state = 'created';
      });
      const other = this.#topics[Math.floor(this.random() * this.#topics.length)];
      if (other?.state !== 'created') continue;
      if (this.random() < 0.5) await this.#grow(other);
      else await this.#delete(other);
    }
  }

  async #grow(topic: MadeTopic): Promise<void> {
    topic.state = 'growing';
    await this.#try(async () => {
      topic.partitions = await this.client.admin.createPartitions(topic.name, topic.partitions + 1);
      topic.state = 'created';
    });
  }

  async #delete(topic: MadeTopic): Promise<void> {
    topic.state = 'deleting';
    await this.#try(async () => {
      await this.client.admin.deleteTopic(topic.name);
      topic.state = 'deleted';
    });
  }

  /** Whatever fails may have been done or not. */
  async #try(change: () => Promise<void>): Promise<void> {
    try {
      await change();
      this.acknowledged += 1;
    } catch {
      // The state says what was asked for.
    }
  }
}
