import type { KeyedBatch } from '../../broker/storage/compaction/segment-files.js';

/** A record as it is compared: `key=value`. */
export type Content = string;

/** Something that was promised, or was about to be. */
export type Entry =
  | {
      readonly type: 'appended';
      readonly log: string;
      readonly offset: number;
      readonly batch: KeyedBatch;
      readonly acks: 1 | -1;
    }
  /** Sent: it may be there whatever was answered. */
  | { readonly type: 'sent'; readonly log: string; readonly batch: KeyedBatch }
  /** A sync of the log failed: nothing that it was to cover counts, whatever the page cache shows. */
  | { readonly type: 'sync-failed'; readonly log: string }
  /** Offsets below `end` may have been seen by consumers. */
  | { readonly type: 'visible'; readonly log: string; readonly end: number }
  | { readonly type: 'deleting'; readonly log: string; readonly before: number }
  | { readonly type: 'deleted'; readonly log: string; readonly before: number }
  | { readonly type: 'producer-id'; readonly id: number }
  /** A value that is being changed has the old or the new one; undefined: there is none. */
  | {
      readonly type: 'changing' | 'changed' | 'refused';
      readonly register: string;
      readonly value: string | undefined;
    };

/** A record that was acknowledged. */
export interface Promised {
  readonly content: Content;
  readonly key: string | null;
  readonly acks: 1 | -1;
}

/** What holds of one log. */
export class GivenLog {
  /** By offset. */
  readonly promised = new Map<number, Promised>();
  /** What a record at an offset may be. */
  readonly known = new Map<number, readonly Content[]>();
  /** What may be there at any offset. */
  readonly sent = new Set<Content>();
  syncFailed = false;
  /** The last batch of each idempotent producer, by its id. */
  readonly batches = new Map<number, { batch: KeyedBatch; offset: number; acks: 1 | -1 }>();
  visibleEnd = 0;
  /** Where that was before the last start. */
  visibleBefore = 0;
  /** The log begins here or later ... */
  startAtLeast = 0;
  /** ... but not after this. */
  startAtMost = 0;

  clone(): GivenLog {
    const copy = new GivenLog();
    for (const entry of this.promised) copy.promised.set(...entry);
    for (const entry of this.known) copy.known.set(...entry);
    for (const content of this.sent) copy.sent.add(content);
    for (const entry of this.batches) copy.batches.set(...entry);
    const { visibleEnd, startAtLeast, startAtMost, syncFailed } = this;
    return Object.assign(copy, {
      ...{ visibleEnd, startAtLeast, startAtMost, syncFailed, visibleBefore: visibleEnd },
    });
  }
}

/** All that was promised by a moment. */
export class Given {
  readonly logs = new Map<string, GivenLog>();
  /** The values that each may have; the last that is certain first. */
  readonly registers = new Map<string, readonly (string | undefined)[]>();
  /** Every producer id below was given out. */
  nextProducerId = 0;

  clone(): Given {
    const copy = new Given();
    for (const [name, log] of this.logs) copy.logs.set(name, log.clone());
    for (const entry of this.registers) copy.registers.set(...entry);
    copy.nextProducerId = this.nextProducerId;
    return copy;
  }

  log(name: string): GivenLog {
    const log = this.logs.get(name) ?? new GivenLog();
    this.logs.set(name, log);
    return log;
  }

  /** @param given whether it was promised by the moment; else it may only explain what is found. */
  take(entry: Entry, given: boolean): void {
    if (entry.type === 'appended') this.#appended(entry, given);
    else if (!given) return;
    else if (entry.type === 'visible') {
      const log = this.log(entry.log);
      log.visibleEnd = Math.max(log.visibleEnd, entry.end);
    } else if (entry.type === 'sent') {
      for (const record of entry.batch.records) this.log(entry.log).sent.add(contentOf(record));
    } else if (entry.type === 'sync-failed') {
      this.log(entry.log).syncFailed = true;
    } else if (entry.type === 'deleting') this.log(entry.log).startAtMost = entry.before;
    else if (entry.type === 'deleted') this.log(entry.log).startAtLeast = entry.before;
    else if (entry.type === 'producer-id') {
      this.nextProducerId = Math.max(this.nextProducerId, entry.id + 1);
    } else if ('register' in entry) this.#register(entry);
  }

  #appended(entry: Extract<Entry, { type: 'appended' }>, given: boolean): void {
    const { acks, batch, offset } = entry;
    const log = this.log(entry.log);
    for (const [i, record] of batch.records.entries()) {
      const at = offset + i;
      const content = contentOf(record);
      // What a consumer may have seen before is what must be there.
      if (at >= log.visibleBefore) log.known.set(at, [...(log.known.get(at) ?? []), content]);
      if (given) log.promised.set(at, { content, key: record.key, acks });
    }
    if (given && batch.producerId !== undefined) {
      log.batches.set(batch.producerId, { batch, offset, acks });
    }
  }

  #register({ register, type, value }: Extract<Entry, { readonly register: string }>): void {
    const before = this.registers.get(register) ?? [undefined];
    const [certain] = before;
    const after = {
      changing: [...before, value],
      changed: [value],
      // A removal that could not be made durable, or a record that was not synced, may hold or not.
      refused: value === undefined || register.startsWith('commit') ? before : [certain],
    };
    this.registers.set(register, after[type]);
  }
}

export function contentOf(record: { key: string | null; value: string | null }): Content {
  return `${record.key ?? '-'}=${record.value ?? '-'}`;
}

const PROMISES = new Set<Entry['type']>(['appended', 'changed', 'deleted', 'producer-id']);

/** What a program promised, each with how many operations on files came before. */
export class Ledger {
  readonly #entries: { readonly at: number; readonly entry: Entry }[] = [];

  constructor(private readonly operations: () => number) {}

  note(entry: Entry): void {
    this.#entries.push({ at: this.operations(), entry });
  }

  /** After how many operations something was promised: each once. */
  moments(): number[] {
    const promises = this.#entries.filter(({ entry }) => PROMISES.has(entry.type));
    return [...new Set(promises.map(({ at }) => at))];
  }

  /** What holds when the first `operations` were done, on top of what held before. */
  given(operations: number, before = new Given()): Given {
    const given = before.clone();
    for (const { at, entry } of this.#entries) given.take(entry, at <= operations);
    return given;
  }
}
