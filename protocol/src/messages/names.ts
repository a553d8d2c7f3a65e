import { MAX_TOPIC_NAME_LENGTH } from '../limits.js';

/** In place of a topic id where a row is about a topic that does not exist. */
export const NO_TOPIC_ID = '';

const topicNamePattern = new RegExp(`^[A-Za-z0-9._-]{1,${MAX_TOPIC_NAME_LENGTH}}$`);
const topicIdPattern = /^[0-9a-f]{32}$/;

/**
 * Whether a topic can have this name: 1 to 249 of the characters `A-Z a-z 0-9 . _ -`, but not
 * `.` or `..`, as in Kafka (`org.apache.kafka.common.internals.Topic`).
 */
export function isValidTopicName(name: string): boolean {
  return topicNamePattern.test(name) && name !== '.' && name !== '..';
}

/** Whether a value is a topic id: 128 bits as 32 lower-case hexadecimal digits. */
export function isTopicId(value: unknown): value is string {
  return typeof value === 'string' && topicIdPattern.test(value);
}
