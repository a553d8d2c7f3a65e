/** A run of messages of one partition, both ends included. */
export interface DeliveredRun {
  readonly first: number;
  readonly last: number;
  /** The member's generation when they were handed out. */
  readonly generation: number;
}

/** From the moment a partition came to a member until it went. */
export interface Tenure {
  readonly member: string;
  readonly partition: number;
  /** The generation that brought it, or a later one in which the member still had it. */
  readonly generation: number;
  /** Where reading began. */
  readonly startOffset: number;
  /** Unix time in ms. */
  readonly assignedAtMs: number;
  /** Undefined: its process died. */
  readonly endedAtMs: number | undefined;
  /** It died, was stopped, or was thrown out: what it had not committed comes again. */
  readonly broken: boolean;
  /** In the order of handling. */
  readonly delivered: readonly DeliveredRun[];
}

/** What the broker stored of a group, in its order. */
export type StoredStep =
  | { readonly type: 'commit'; readonly partition: number; readonly offset: number }
  | {
      readonly type: 'generation';
      readonly generation: number;
      /** Partitions by member. */
      readonly owned: ReadonlyMap<string, readonly number[]>;
    };

/** All that happened to one group. */
export interface GroupHistory {
  /** Where each partition ended; each began with 0 and has no gaps. */
  readonly endOffsets: readonly number[];
  readonly tenures: readonly Tenure[];
  readonly stored: readonly StoredStep[];
}
