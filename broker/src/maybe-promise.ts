/** What may be there at once, or only later: what the hot paths return, which seldom have to wait. */
export type MaybePromise<Value> = Value | Promise<Value>;

/**
 * Goes on with `value`: at once where it is there, for a promise costs more than most of what follows it. What `next`
 * throws is thrown then, and else rejects.
 */
export function andThen<Value, Result>(
  value: MaybePromise<Value>,
  next: (value: Value) => MaybePromise<Result>,
): MaybePromise<Result> {
  return value instanceof Promise ? value.then(next) : next(value);
}
