import { ProtocolError } from '@millrace/protocol';
import type { ConnectionContext, Wait } from './context.js';

/**
 * Runs something that waits for other members of a group, for as long as the connection is there. When
 * the client is gone, the signal is aborted without a reason; when the connection is about to close,
 * with the error that the client is to be answered with.
 *
 * @returns undefined when nobody is there for an answer.
 * @throws ProtocolError SHUTTING_DOWN when the connection is closing already.
 */
export async function waitWithConnection<Answer>(
  connection: ConnectionContext,
  run: (gone: AbortSignal) => Promise<Answer>,
): Promise<Answer | undefined> {
  if (connection.closing) throw closing();
  const abort = new AbortController();
  const state = { cancelled: false };
  const wait: Wait = {
    cancel: () => {
      state.cancelled = true;
      abort.abort();
    },
    hurry: () => abort.abort(closing()),
  };
  const seat = connection.waits.add(wait);
  try {
    const answer = await run(abort.signal);
    return state.cancelled ? undefined : answer;
  } catch (error) {
    if (state.cancelled) return undefined;
    throw error;
  } finally {
    connection.waits.remove(seat);
  }
}

/** The host out of `host:port`, as it is shown of a member; of IPv4 without its IPv6 prefix. */
export function hostOf(remoteAddress: string): string {
  return remoteAddress.slice(0, remoteAddress.lastIndexOf(':')).replace(/^::ffff:/, '');
}

function closing(): ProtocolError {
  return new ProtocolError(
    'SHUTTING_DOWN',
    'The connection ends before the rebalance does; connect and join the group again',
  );
}
