export { Millrace } from './client.js';
export type { ClientOptions, SignalOption } from './options.js';
export { clientDefaults } from './options.js';
export * from './errors.js';
export type { ClientEvent, EventListener } from './events.js';
export { Admin } from './admin.js';
export type * from './admin-types.js';
export { Producer } from './producer/producer.js';
export {
  ENQUEUE_HIGH_WATER_BYTES,
  producerDefaults,
  type DeliveryFailure,
  type ProducerOptions,
} from './producer/options.js';
export type {
  MessageHeader,
  MessageHeaders,
  ProducerMessage,
  RecordMetadata,
} from './producer/message.js';
export { partitionOfKey } from './producer/murmur2.js';
export type { Partitioner, PartitionerInput } from './producer/partitioner.js';
export { Consumer } from './consumer/consumer.js';
export type { ConsumerOptions, StartPosition } from './consumer/options.js';
export {
  consumerDefaults,
  type FetchOptions,
  type OutOfRangePolicy,
} from './consumer/fetch-options.js';
export type { PartitionName } from './consumer/stream-consumer.js';
export {
  GroupConsumer,
  type CommittedOffset,
  type OffsetToCommit,
} from './consumer/group-consumer.js';
export { groupConsumerDefaults, type GroupConsumerOptions } from './consumer/group-options.js';
export type { RebalanceEvent, RebalanceHook } from './consumer/hooks.js';
export type { AssignorName, TopicPartition } from './group/types.js';
export type {
  Assignments,
  Assignor,
  AssignorMember,
  NamedPartition,
} from './group/assignors/index.js';
export { FetchedBatch, type FetchedBatchJson } from './consumer/fetched-batch.js';
export { Message, type MessageJson, type ReceivedHeaders } from './consumer/message.js';
export type { Readable, ReadableHeaders } from './util/readable.js';
export { DEFAULT_PORT } from './net/default-port.js';
export { CLIENT_VERSION } from './version.js';
