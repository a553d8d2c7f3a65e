import type { Millrace } from '@millrace/client';

const KEYS = 20;
const MAX_PENDING = 50;
const PADDING = 'x'.repeat(300);

/** What is known of a key. Its versions are numbers that grow. */
interface KeyState {
  sent: number;
  acknowledged: number;
  /** Where the acknowledged one is. */
  offset: number;
}

/**
 * Writes newer and newer values of a few keys to a compacted topic with acks all. The value of a key may be
 * lost only to a newer one, so in the end the newest that was acknowledged is there, or one sent after it.
 */
export class KeyedLoad {
  readonly #keys = new Map<string, KeyState>();
  readonly #pending = new Set<Promise<void>>();
  #stopping = false;
  #done: Promise<void> | undefined;

  constructor(
    private readonly client: Millrace,
    private readonly topic: string,
    private readonly random: () => number,
  ) {}

  start(): void {
    this.#done ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
    await Promise.all(this.#pending);
  }

  /** What is wrong with what the topic holds, in words; nobody may write to it any more. */
  async problems(): Promise<string[]> {
    const held = new Map<string, number>();
    const at = new Map<string, number>();
    const consumer = this.client.consumer({ topics: [this.topic], exitAtEnd: true });
    for await (const message of consumer) {
      const key = message.key?.toString() ?? '';
      held.set(key, Number.parseInt(message.text() ?? '', 10));
      at.set(key, message.offset);
    }
    return [...this.#keys].flatMap(([key, { acknowledged, offset, sent }]) => {
      const version = held.get(key) ?? 0;
      if (version >= acknowledged && version <= sent) return [];
      const last = `version ${version} at ${at.get(key) ?? -1}`;
      return [
        `${this.topic}: ${key} has ${last}, but ${acknowledged} was acknowledged at ${offset}, ${sent} sent`,
      ];
    });
  }

  async #run(): Promise<void> {
    const producer = this.client.producer({ batchBytes: 16 * 1024 });
    while (!this.#stopping) {
      if (this.#pending.size < MAX_PENDING) {
        const key = `key-${Math.floor(this.random() * KEYS)}`;
        const state = this.#keys.get(key) ?? { sent: 0, acknowledged: 0, offset: -1 };
        this.#keys.set(key, state);
        const version = ++state.sent;
        const settled = producer.send(this.topic, { key, value: `${version} ${PADDING}` }).then(
          ({ offset }) => {
            if (version <= state.acknowledged) return;
            state.acknowledged = version;
            state.offset = offset;
          },
          () => undefined,
        );
        this.#pending.add(settled);
        void settled.then(() => this.#pending.delete(settled));
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}
