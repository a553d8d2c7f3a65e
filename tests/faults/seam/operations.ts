/** What a program did to the files below one directory, in the order in which it was done. */
export type Operation =
  | { readonly type: 'make'; readonly path: string; readonly node: number; readonly what: NodeKind }
  | { readonly type: 'move'; readonly from: string; readonly to: string }
  | { readonly type: 'link'; readonly from: string; readonly to: string }
  | { readonly type: 'remove'; readonly path: string }
  | {
      readonly type: 'write';
      readonly node: number;
      readonly position: number;
      readonly bytes: Buffer;
    }
  /** The file ends there now: it was cut, or extended by zeros. */
  | { readonly type: 'resize'; readonly node: number; readonly size: number }
  /** What was written before this is covered ... */
  | {
      readonly type: 'sync-begin';
      readonly node: number;
      readonly id: number;
      readonly range?: Range;
    }
  /** ... and on the device from here on, or given up by a kernel that could not write it. */
  | {
      readonly type: 'sync-end';
      readonly node: number;
      readonly id: number;
      readonly failed: boolean;
    };

export type NodeKind = 'file' | 'directory';

/** Bytes of a file, the end excluded. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** In a few words, for a message. */
export function describe(operation: Operation): string {
  switch (operation.type) {
    case 'make':
      return `make ${operation.what} ${operation.path}`;
    case 'move':
    case 'link':
      return `${operation.type} ${operation.from} to ${operation.to}`;
    case 'remove':
      return `remove ${operation.path}`;
    case 'write':
      return `write ${operation.bytes.length} bytes at ${operation.position} of node ${operation.node}`;
    case 'resize':
      return `resize node ${operation.node} to ${operation.size}`;
    default:
      return `${operation.type} of node ${operation.node}`;
  }
}
