/**
 * The keys that topics take, to be completed where the broker cannot be asked: of a topic that is
 * still to be made. What a key's value may be is for the broker to say.
 */
export const topicConfigKeys = [
  'segment.bytes',
  'segment.ms',
  'max.message.bytes',
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'delete.retention.ms',
  'min.compaction.lag.ms',
  'max.compaction.lag.ms',
  'min.cleanable.dirty.ratio',
  'message.timestamp.type',
  'message.timestamp.after.max.ms',
  'flush.ms',
  'flush.bytes',
  'index.interval.bytes',
] as const;
