import { UnknownTopicError } from './errors.js';
import { quoted, saidBy } from './util/text.js';

/*
 * What is said of topics and partitions that do not exist, the same wherever it is found out.
 */

/** What to do about a topic that somebody wants to use; the command has words of its own. */
export const CREATE_ADVICE = 'create it with admin.createTopic or `millrace topic create`';

/** @param broker who said so, where it is known */
export function noSuchTopic(topic: string, broker?: string, advice = ''): UnknownTopicError {
  const message = `There is no topic ${quoted(topic)}${advice}`;
  return new UnknownTopicError(saidBy(message, broker), { topic, broker });
}

/** As {@link noSuchTopic}, where creating it would help. */
export function noTopicToUse(topic: string, broker?: string): UnknownTopicError {
  return noSuchTopic(topic, broker, `; ${CREATE_ADVICE}`);
}

/** @param partitionCount how many the topic has */
export function noSuchPartition(
  topic: string,
  partition: number,
  partitionCount: number,
): UnknownTopicError {
  const some = partitionCount === 1 ? 'only 0' : `only 0 to ${partitionCount - 1}`;
  return new UnknownTopicError(`Topic ${quoted(topic)} has no partition ${partition}, ${some}`, {
    topic,
    partition,
  });
}
