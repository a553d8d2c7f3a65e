import { ProtocolError, type RowError } from '@millrace/protocol';
import type { CallLimits, Cluster } from '../cluster.js';
import { BrokerError, ConnectionError, toMillraceError } from '../errors.js';

/** Rows of one request: topics, groups or partitions. */
const MAX_ROWS_PER_REQUEST = 1_000;

/** A response's row and who gave it. */
export interface Asked<Row> {
  readonly row: Row;
  readonly broker: string;
}

/** What became of an item: its row, and the error in it that is final. */
export interface Settled<Item, Row> extends Asked<Row> {
  readonly item: Item;
  readonly error: ProtocolError | undefined;
  /** Whether an earlier try, whose answer was lost, may have done it already. */
  readonly repeated: boolean;
}

/** How to ask about items, and what to call that. */
export interface RowQuestion<Item, Row extends RowError> {
  /** For events. */
  readonly action: string;
  /** Such as `delete group "a"`, for the error of a row. */
  readonly describe: (item: Item) => string;
  /** One attempt; rows in the order of the items. */
  readonly ask: (items: readonly Item[]) => Promise<readonly Asked<Row>[]>;
}

/**
 * Asks about items, as many requests as that takes. Rows that failed retriably are asked for
 * again, those alone, within the client's `requestTimeoutMs`.
 *
 * @returns in the order of the items, with the errors that are final.
 * @throws the error of the last attempt when the time is up; the signal's reason.
 */
export async function settleRows<Item, Row extends RowError>(
  cluster: Cluster,
  { action, describe, ask }: RowQuestion<Item, Row>,
  items: readonly Item[],
  limits: CallLimits,
): Promise<Settled<Item, Row>[]> {
  const all: Settled<Item, Row>[] = [];
  for (const chunk of chunksOf(items)) {
    const settled = new Map<Item, Settled<Item, Row>>();
    let attempts = 0;
    await cluster.retry(action, limits, async () => {
      attempts += 1;
      const pending = chunk.filter((item) => !settled.has(item));
      let retriable: BrokerError | undefined;
      for (const [index, { row, broker }] of (await ask(pending)).entries()) {
        const item = pending[index];
        if (item === undefined) throw misfit(action, broker);
        const error = errorOf(row);
        if (error !== undefined && isWorthRetrying(error)) {
          retriable = new BrokerError(error, { broker, action: describe(item) });
        } else settled.set(item, { item, row, broker, error, repeated: attempts > 1 });
      }
      if (retriable !== undefined) throw retriable;
      if (settled.size < chunk.length) throw misfit(action);
    });
    for (const item of chunk) {
      const result = settled.get(item);
      if (result !== undefined) all.push(result);
    }
  }
  return all;
}

/** The error in a row; undefined where there is none. */
export function errorOf({ errorCode, errorMessage }: RowError): ProtocolError | undefined {
  return errorCode === 0 ? undefined : ProtocolError.fromCode(errorCode, errorMessage);
}

/** That a topic does not exist is retriable for producers; who administrates is told at once. */
function isWorthRetrying({ retriable, errorName }: ProtocolError): boolean {
  return retriable && errorName !== 'UNKNOWN_TOPIC_OR_PARTITION';
}

/** A response that has not the rows of its request. */
export function misfit(api: string, broker?: string): ConnectionError {
  const whose = broker === undefined ? '' : ` of ${broker}`;
  return new ConnectionError(`A ${api} response${whose} does not fit its request`, { broker });
}

/** The items in pieces that fit into a request. */
export function* chunksOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += MAX_ROWS_PER_REQUEST) {
    yield items.slice(start, start + MAX_ROWS_PER_REQUEST);
  }
}

/** @throws the only error, or an AggregateError of several. */
export function throwAll(errors: readonly unknown[], message: string): void {
  if (errors.length === 1) throw toMillraceError(errors[0]);
  if (errors.length > 1) throw new AggregateError(errors, message);
}
