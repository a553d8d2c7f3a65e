/** A partition of a topic, by name; topic ids play no part in who gets what. */
export interface NamedPartition {
  readonly topic: string;
  readonly partition: number;
}

/** What a member told when it joined. */
export interface AssignorMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  /** Topics that it subscribes to. */
  readonly topics: readonly string[];
  /** What it owned when it joined. */
  readonly owned: readonly NamedPartition[];
  /** The generation in which it got `owned`; -1 when it had none. */
  readonly generation: number;
}

/** Who gets what, by member id; every member has an entry. */
export type Assignments = ReadonlyMap<string, readonly NamedPartition[]>;

/**
 * A way to share out partitions. It runs on the leader of the group, must be deterministic, and
 * must not depend on the order of the members.
 */
export interface Assignor {
  /** What the members agree on: Kafka's names for Kafka's definitions. */
  readonly name: string;
  /**
   * Whether members keep reading while they rejoin (KIP-429): then a partition must not be given to
   * a new owner in the generation in which the old one still has it.
   */
  readonly cooperative: boolean;
  /** @param partitionsByTopic how many partitions each topic has; a topic that is not there has none */
  assign(
    members: readonly AssignorMember[],
    partitionsByTopic: ReadonlyMap<string, number>,
  ): Assignments;
}
