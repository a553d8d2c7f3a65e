import { CONSUMER_PROTOCOL_TYPE, decodeAssignment, decodeSubscription } from '@millrace/protocol';
import type { Member } from './member.js';

/** A partition that an assignment gives to two members. */
export interface OwnershipConflict {
  readonly topic: string;
  readonly partition: number;
  readonly members: readonly [string, string];
}

/** Who was given what in one generation of a group of consumers. */
export class ConsumerOwnership {
  readonly #owners = new Map<string, Map<number, string>>();
  /** The first one found. */
  #conflict: OwnershipConflict | undefined;

  /** undefined where an assignment is no consumer's: such bytes are not the broker's business. */
  static decode(
    protocolType: string,
    assignments: Iterable<readonly [memberId: string, bytes: Buffer]>,
  ): ConsumerOwnership | undefined {
    if (protocolType !== CONSUMER_PROTOCOL_TYPE) return undefined;
    const ownership = new ConsumerOwnership();
    try {
      for (const [memberId, bytes] of assignments) {
        if (bytes.length > 0) ownership.#add(memberId, bytes);
      }
    } catch {
      return undefined;
    }
    return ownership;
  }

  get conflict(): OwnershipConflict | undefined {
    return this.#conflict;
  }

  ownerOf(topic: string, partition: number): string | undefined {
    return this.#owners.get(topic)?.get(partition);
  }

  hasTopic(topic: string): boolean {
    return this.#owners.has(topic);
  }

  /** A member goes on under another id. */
  rename(before: string, now: string): void {
    for (const owners of this.#owners.values()) {
      for (const [partition, owner] of owners) if (owner === before) owners.set(partition, now);
    }
  }

  #add(memberId: string, bytes: Buffer): void {
    for (const { topic, partitions } of decodeAssignment(bytes).partitions) {
      const owners = this.#owners.get(topic) ?? new Map<number, string>();
      this.#owners.set(topic, owners);
      for (const partition of partitions) {
        const before = owners.get(partition);
        if (before !== undefined && before !== memberId) {
          this.#conflict ??= { topic, partition, members: [before, memberId] };
        }
        owners.set(partition, memberId);
      }
    }
  }
}

/**
 * Whether a member that comes back wants what it wanted before, so that its assignment still fits.
 * Of consumers that is the topics: which partitions they have, and since when, is in the metadata
 * too and is forgotten by a restart. All other metadata counts byte for byte.
 */
export function sameInterest(protocolType: string, before: Buffer, now: Buffer): boolean {
  if (before.equals(now)) return true;
  if (protocolType !== CONSUMER_PROTOCOL_TYPE) return false;
  try {
    const topicsBefore = new Set(decodeSubscription(before).topics);
    const topicsNow = new Set(decodeSubscription(now).topics);
    return (
      topicsBefore.size === topicsNow.size &&
      [...topicsNow].every((topic) => topicsBefore.has(topic))
    );
  } catch {
    return false;
  }
}

/** Whether a member wants the topic, as far as one can tell: what cannot be read may want it. */
export function isSubscribed(member: Member, protocolName: string | null, topic: string): boolean {
  try {
    return decodeSubscription(member.metadataFor(protocolName)).topics.includes(topic);
  } catch {
    return true;
  }
}
