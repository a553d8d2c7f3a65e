import type { Socket } from 'node:net';

/**
 * How long the end of an orderly close waits for the client to close its side. Closing with bytes
 * unread would reset the connection, and the client could lose the last answers.
 */
export const CLOSE_LINGER_MS = 1_000;

/**
 * Ends a socket once what Node has of its writes is with the kernel, and destroys it when the client
 * has ended its side, too, or {@link CLOSE_LINGER_MS} later. A client that never takes its last
 * answers is left to whoever looks at stalled writes.
 */
export function endInOrder(socket: Socket, lingerMs = CLOSE_LINGER_MS): void {
  const destroy = (): void => {
    socket.destroy();
  };
  socket.once('finish', () => {
    if (socket.readableEnded) {
      destroy();
      return;
    }
    socket.once('end', destroy);
    const linger = setTimeout(destroy, lingerMs);
    socket.once('close', () => {
      clearTimeout(linger);
    });
  });
  socket.end();
  // What still comes is read and dropped.
  socket.resume();
}
