/** One row of the error table. */
export interface ErrorEntry {
  /** What travels in a response's `errorCode` (a 16-bit signed integer, as in Kafka). */
  readonly code: number;
  /** Whether the same request may succeed later without a change. */
  readonly retriable: boolean;
  /** What the error means when nobody has anything more precise to say. */
  readonly message: string;
}

/**
 * Every error that can cross the wire. The table is closed: a broker sends nothing else, and a
 * client treats a code that is not here as `UNKNOWN_SERVER_ERROR`.
 *
 * Codes below 1000 are those of Kafka (`org.apache.kafka.common.protocol.Errors`) and mean the
 * same; those from 1000 are millrace's own.
 */
export const errorTable = {
  UNKNOWN_SERVER_ERROR: {
    code: -1,
    retriable: false,
    message: 'The broker failed in a way that it did not expect; its log says more.',
  },
  NONE: { code: 0, retriable: false, message: 'No error.' },
  OFFSET_OUT_OF_RANGE: {
    code: 1,
    retriable: false,
    message: 'The offset is not within the range that the partition holds.',
  },
  CORRUPT_MESSAGE: {
    code: 2,
    retriable: false,
    message: 'A record batch is damaged: its checksum, length or counts do not fit its content.',
  },
  UNKNOWN_TOPIC_OR_PARTITION: {
    code: 3,
    retriable: true,
    message: 'The broker does not host this topic or partition.',
  },
  NOT_LEADER_OR_FOLLOWER: {
    code: 6,
    retriable: true,
    message: 'This node does not lead the partition; refresh the metadata.',
  },
  REQUEST_TIMED_OUT: {
    code: 7,
    retriable: true,
    message: 'The request was not completed within its time limit.',
  },
  MESSAGE_TOO_LARGE: {
    code: 10,
    retriable: false,
    message: 'A record batch is larger than the topic accepts (max.message.bytes).',
  },
  OFFSET_METADATA_TOO_LARGE: {
    code: 12,
    retriable: false,
    message: 'The metadata of a committed offset is longer than the broker accepts.',
  },
  COORDINATOR_LOAD_IN_PROGRESS: {
    code: 14,
    retriable: true,
    message: 'The coordinator is still loading its groups; try again.',
  },
  COORDINATOR_NOT_AVAILABLE: {
    code: 15,
    retriable: true,
    message: 'No coordinator is available for the group at the moment; try again.',
  },
  NOT_COORDINATOR: {
    code: 16,
    retriable: true,
    message: 'This node does not coordinate the group; ask for its coordinator again.',
  },
  INVALID_TOPIC: {
    code: 17,
    retriable: false,
    message: 'A topic name has 1 to 249 of the characters A-Z a-z 0-9 . _ - and is not . or ..',
  },
  INVALID_REQUIRED_ACKS: {
    code: 21,
    retriable: false,
    message: 'acks must be 0, 1 or -1 (all).',
  },
  ILLEGAL_GENERATION: {
    code: 22,
    retriable: false,
    message: 'The group is in another generation than the request; rejoin the group.',
  },
  INCONSISTENT_GROUP_PROTOCOL: {
    code: 23,
    retriable: false,
    message: 'The member shares no protocol type or no assignor with the group.',
  },
  INVALID_GROUP_ID: {
    code: 24,
    retriable: false,
    message: 'A group id has 1 to 249 characters.',
  },
  UNKNOWN_MEMBER_ID: {
    code: 25,
    retriable: false,
    message: 'The group has no member of this id; join it again.',
  },
  INVALID_SESSION_TIMEOUT: {
    code: 26,
    retriable: false,
    message: 'The session timeout is not within the range that the broker accepts.',
  },
  REBALANCE_IN_PROGRESS: {
    code: 27,
    retriable: false,
    message: 'The group is rebalancing; rejoin it.',
  },
  INVALID_TIMESTAMP: {
    code: 32,
    retriable: false,
    message: 'A record has a timestamp that the topic does not accept.',
  },
  UNSUPPORTED_VERSION: {
    code: 35,
    retriable: false,
    message: 'The other side does not speak this version of the API.',
  },
  TOPIC_ALREADY_EXISTS: {
    code: 36,
    retriable: false,
    message: 'A topic of this name exists already.',
  },
  INVALID_PARTITIONS: {
    code: 37,
    retriable: false,
    message: 'The number of partitions is out of range.',
  },
  INVALID_CONFIG: {
    code: 40,
    retriable: false,
    message: 'A configuration key is unknown or its value is not valid.',
  },
  INVALID_REQUEST: {
    code: 42,
    retriable: false,
    message: 'The message does not have the fields, types or ranges that its API asks for.',
  },
  UNSUPPORTED_FOR_MESSAGE_FORMAT: {
    code: 43,
    retriable: false,
    message: 'The record batch has a format (magic) other than 2.',
  },
  POLICY_VIOLATION: {
    code: 44,
    retriable: false,
    message: 'The broker does not allow this; internal topics belong to the broker alone.',
  },
  OUT_OF_ORDER_SEQUENCE_NUMBER: {
    code: 45,
    retriable: false,
    message: 'The batch does not continue the sequence of its producer; one before it is missing.',
  },
  DUPLICATE_SEQUENCE_NUMBER: {
    code: 46,
    retriable: false,
    message: 'The batch repeats one that is too old for the broker to remember its answer.',
  },
  INVALID_PRODUCER_EPOCH: {
    code: 47,
    retriable: false,
    message: 'A newer instance of this producer has taken over; this one must stop.',
  },
  STORAGE_ERROR: {
    code: 56,
    retriable: true,
    message: 'The broker could not read or write its files; its log says more.',
  },
  UNKNOWN_PRODUCER_ID: {
    code: 59,
    retriable: false,
    message: 'The broker knows nothing of this producer id; ask for a new one.',
  },
  NON_EMPTY_GROUP: {
    code: 68,
    retriable: false,
    message: 'The group still has members; stop them first.',
  },
  GROUP_ID_NOT_FOUND: {
    code: 69,
    retriable: false,
    message: 'There is no group of this id.',
  },
  FENCED_LEADER_EPOCH: {
    code: 74,
    retriable: true,
    message: 'The leader epoch in the request is older than that of the partition.',
  },
  UNKNOWN_LEADER_EPOCH: {
    code: 75,
    retriable: true,
    message: 'The leader epoch in the request is newer than that of the partition.',
  },
  UNSUPPORTED_COMPRESSION_TYPE: {
    code: 76,
    retriable: false,
    message: 'The record batch names a compression codec that is not supported.',
  },
  MEMBER_ID_REQUIRED: {
    code: 79,
    retriable: false,
    message: 'A member joins with an id; join again with the one in the response.',
  },
  GROUP_MAX_SIZE_REACHED: {
    code: 81,
    retriable: false,
    message: 'The group has as many members as the broker accepts.',
  },
  FENCED_INSTANCE_ID: {
    code: 82,
    retriable: false,
    message: 'Another member has taken this group instance id; this one must stop.',
  },
  GROUP_SUBSCRIBED_TO_TOPIC: {
    code: 86,
    retriable: false,
    message: 'A member of the group consumes this topic; stop it first.',
  },
  INVALID_RECORD: {
    code: 87,
    retriable: false,
    message: 'A record batch is well-formed but not acceptable.',
  },
  UNKNOWN_TOPIC_ID: {
    code: 100,
    retriable: true,
    message: 'No topic has this id; it may have been deleted and made again.',
  },
  UNKNOWN_API: {
    code: 1001,
    retriable: false,
    message: 'The broker does not know this API key.',
  },
  FRAME_TOO_LARGE: {
    code: 1002,
    retriable: false,
    message: 'A frame or its header is longer than the receiver accepts.',
  },
  MALFORMED_HEADER: {
    code: 1003,
    retriable: false,
    message: 'A frame header is not the msgpack array that the protocol asks for.',
  },
  CORRUPT_LOG: {
    code: 1004,
    retriable: false,
    message: 'Stored data of the partition is damaged; restore it or start the partition anew.',
  },
  DISK_FULL: {
    code: 1005,
    retriable: true,
    message: 'The disk of the broker is full; nothing was stored.',
  },
  PARTITION_OFFLINE: {
    code: 1006,
    retriable: false,
    message: 'The partition is offline after a failed write or sync; restart the broker.',
  },
  SHUTTING_DOWN: {
    code: 1007,
    retriable: true,
    message: 'The broker is shutting down.',
  },
  OVERLOADED: {
    code: 1008,
    retriable: true,
    message: 'The broker has as much work in flight as it accepts; try again later.',
  },
  LIMIT_EXCEEDED: {
    code: 1009,
    retriable: false,
    message: 'A limit of the broker would be exceeded.',
  },
  NOT_PARTITION_OWNER: {
    code: 1010,
    retriable: false,
    message: 'The partition is assigned to another member of the group in this generation.',
  },
  INVALID_ASSIGNMENT: {
    code: 1011,
    retriable: false,
    message: 'The assignment does not fit the group; the assignor that made it is at fault.',
  },
} as const satisfies Readonly<Record<string, ErrorEntry>>;

/** The name of a row of {@link errorTable}. */
export type ErrorName = keyof typeof errorTable;
