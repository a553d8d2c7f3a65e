/** To the thread: a batch to look through. The next one comes when it is answered. */
export interface NullKeyQuestion {
  readonly bytes: Uint8Array;
  readonly maxUnpackedBytes: number;
}

/** From the thread. Errors cross as name and message: threads keep no classes. */
export type NullKeyAnswer =
  | { readonly type: 'found'; readonly index: number | undefined }
  /** `errorName`: of a ProtocolError, as `CORRUPT_MESSAGE`. */
  | { readonly type: 'failed'; readonly errorName: string | undefined; readonly message: string };
