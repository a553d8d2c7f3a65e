import type { Socket } from 'node:net';
import type { Native } from '@millrace/native';
import type { ServeName } from '../modes.js';
import { chooseServe } from '../serve/choose-serve.js';
import { NodeCopyServe } from '../serve/node-copy.js';
import { NativeOutlet } from './native-outlet.js';
import { NodeOutlet } from './node-outlet.js';
import type { Outlet } from './outlet.js';

/** Gives every connection its writing end. */
export interface OutletFactory {
  open(socket: Socket): Outlet;
  /** Lets go of what connections share. */
  close(): void;
}

/**
 * Outlets that serve by the named strategy; on Node's own API when `native` is undefined.
 * @param maxReadMappings segment files that `mmap` keeps mapped.
 */
export function outletFactory(
  serveName: ServeName,
  native: Native | undefined,
  maxReadMappings: number,
): OutletFactory {
  if (native === undefined) {
    const serve = new NodeCopyServe();
    return {
      open: (socket) => new NodeOutlet(serve, socket),
      close: () => {
        serve.close();
      },
    };
  }
  const serve = chooseServe(serveName, maxReadMappings);
  return {
    open: (socket) => new NativeOutlet(native, serve, socket),
    close: () => {
      serve.close();
    },
  };
}
