import { ProtocolError } from '@millrace/protocol';

/**
 * A batch that no request can carry must not be promised; other values are checked by the topics.
 *
 * @param changes keys and values of a topic's config; null where the broker's default is to apply.
 * @param largestBytes the largest batch that fits into a request.
 * @throws ProtocolError INVALID_CONFIG
 */
export function refuseUnsendable(
  changes: readonly (readonly [key: string, value: string | null])[],
  largestBytes: number,
): void {
  for (const [key, value] of changes) {
    if (key !== 'max.message.bytes' || !(Number(value) > largestBytes)) continue;
    throw new ProtocolError(
      'INVALID_CONFIG',
      `max.message.bytes of ${value} is more than a request to this broker can carry ` +
        `(${largestBytes} bytes: its maxFrameBytes less maxHeaderBytes and the lengths)`,
    );
  }
}
