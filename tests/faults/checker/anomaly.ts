/** What can be wrong with a log. */
export const anomalyKinds = [
  /** Acknowledged, or shown to a consumer, and not there in the end. */
  'lost',
  /** An idempotent producer's message at two offsets. */
  'duplicated',
  /** Messages of an idempotent producer against the order in which it sent them. */
  'reordered',
  /** An offset that held one message and then another, with the broker up all the while. */
  'two-contents',
  /** An offset that was given out again after the broker was away. */
  'reused',
  /** A consumer got an offset that is not above the one before. */
  'went-backwards',
  /** Content that cannot be what a producer sent, or in another partition. */
  'corrupt',
  /** Content that looks good, and that nobody sent. */
  'never-sent',
  /** A consumer passed over a message. */
  'skipped',
  /** A group committed beyond a message that none of its members got. */
  'skipped-by-group',
  /** A member began before what the group had committed. */
  'commit-lost',
] as const;

export type AnomalyKind = (typeof anomalyKinds)[number];

/** One thing that is wrong. */
export interface Anomaly {
  readonly kind: AnomalyKind;
  readonly partition: string;
  /** Where to look in the partition. */
  readonly offset: number;
  /** What happened, to which message, and who says so. */
  readonly text: string;
}
