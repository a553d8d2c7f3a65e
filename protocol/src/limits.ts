/**
 * The bounds of the wire format, in one place. They protect the receiver from what the other
 * side declares; a broker's own limits (topics, connections, batch sizes) are in its config.
 */

/** Arrays within arrays in a header, the header's own array included. */
export const MAX_HEADER_DEPTH = 5;

/** Values in one header, all levels together. A decoded value can take 40 bytes of memory. */
export const MAX_HEADER_ELEMENTS = 262_144;

/** Bytes of a header that a broker accepts: {@link MAX_ENTRIES} rows of a fetch fit. */
export const DEFAULT_MAX_HEADER_BYTES = 1024 * 1024;

/** Bytes of a frame that a broker accepts: 16 MiB of record batches and the longest header. */
export const DEFAULT_MAX_FRAME_BYTES = 16 * 1024 * 1024 + DEFAULT_MAX_HEADER_BYTES;

/** Bytes of a header that a client accepts; metadata of many partitions is in the header. */
export const CLIENT_MAX_HEADER_BYTES = 16 * 1024 * 1024;

/** Bytes of a frame that a client accepts: 64 MiB of record batches and the longest header. */
export const CLIENT_MAX_FRAME_BYTES = 64 * 1024 * 1024 + CLIENT_MAX_HEADER_BYTES;

/** Rows in one list of a message: topics, nodes, partitions to produce to or fetch from. */
export const MAX_ENTRIES = 10_000;

/** Partitions of one topic in a metadata response, where they are packed more tightly. */
export const MAX_PARTITIONS_PER_TOPIC = 50_000;

/** Config entries of one topic. */
export const MAX_CONFIG_ENTRIES = 1_000;

/** UTF-16 code units of a string in a message, where nothing shorter is said. */
export const MAX_STRING_LENGTH = 32_767;

/** UTF-16 code units of an error message; longer ones are cut when encoded. */
export const MAX_ERROR_MESSAGE_LENGTH = 1_000;

/** Characters of a topic name, as in Kafka. */
export const MAX_TOPIC_NAME_LENGTH = 249;

/** Characters of a group id; longer ones are for the coordinator to refuse. */
export const MAX_GROUP_ID_LENGTH = 249;

/** Assignors that one member of a group can offer. */
export const MAX_GROUP_PROTOCOLS = 100;

/** Bytes of a member's protocol metadata, and of an assignment. */
export const MAX_GROUP_METADATA_BYTES = 1024 * 1024;

/** Topics in a consumer's subscription, and in an assignment. */
export const MAX_SUBSCRIBED_TOPICS = 10_000;

/** Groups in one listGroups response; where there are more, they are asked for page by page. */
export const MAX_LISTED_GROUPS = 10_000;

/** Committed offsets in one offsetFetch response: with nine values each they fit into a header. */
export const MAX_FETCHED_OFFSETS = 25_000;

/** The largest value of a signed 16-bit integer; producer epochs, API keys and versions. */
export const MAX_INT16 = 32_767;

/** The largest value of a signed 32-bit integer; partitions, lengths, epochs, durations. */
export const MAX_INT32 = 2_147_483_647;
