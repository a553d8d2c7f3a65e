import { MAX_TOPIC_NAME_LENGTH, ProtocolError } from '@millrace/protocol';
import { BrokerError } from '../errors.js';
import { quoted, shortened } from '../util/text.js';

/** Says what was wanted of which topic, unless the broker's own words name the topic already. */
export function refusal(
  verb: string,
  topic: string,
  error: ProtocolError,
  broker: string,
): BrokerError {
  const { message, errorName } = error;
  const named = message.includes(`"${topic}"`) || message.startsWith(`topic ${topic} `);
  if (topic.length > MAX_TOPIC_NAME_LENGTH) {
    // The broker repeats the name, and its words are cut on the way: little else would be left.
    const action = `${verb} topic ${quoted(topic)}`;
    return new BrokerError(new ProtocolError(errorName), { broker, topic, action });
  }
  if (named) {
    const words = message.replace(topic, () => shortened(topic));
    return new BrokerError(new ProtocolError(errorName, words), { broker, topic });
  }
  return new BrokerError(error, { broker, topic, action: `${verb} topic ${quoted(topic)}` });
}
