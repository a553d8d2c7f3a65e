import { produceApi, ProtocolError } from '@millrace/protocol';
import type {
  ByteChunks,
  ProduceEntry,
  ProduceRequest,
  ProduceResponse,
  ProduceResult,
} from '@millrace/protocol';
import { andThen } from '../maybe-promise.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { AppendResult } from '../topics/partition.js';
import { refuseInternalTopic } from '../topics/internal-topics.js';
import type { RequestContext } from './context.js';
import { findPartition } from './find-partition.js';
import { ConnectionFatalError, reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { rowFailure } from './row-error.js';
import type { HandlerServices } from './services.js';

/**
 * Appends batches. All appends of a request begin before `handle` returns, so what one connection
 * sends reaches each log in the order in which it was sent. Where nothing is waited for, it is all done then.
 */
export class ProduceHandler implements Handler<ProduceRequest, ProduceResponse> {
  readonly api = produceApi;
  readonly takesPayload = true;

  constructor(private readonly services: HandlerServices) {}

  handle(
    request: ProduceRequest,
    payload: ByteChunks,
    context: RequestContext,
  ): MaybePromise<Reply<ProduceResponse> | undefined> {
    const { entries, acks, timeoutMs } = request;
    const { counters } = this.services;
    const given = context.receivedAtMs + timeoutMs;
    if (given < context.deadlineMs) context.deadlineMs = given;
    context.wantsAnswer = acks !== 0;
    const problem = lengthProblem(entries, payload);
    if (problem !== undefined) {
      if (acks === 0) throw new ConnectionFatalError(`produce with acks=0: ${problem.message}`);
      throw problem;
    }
    counters.produceEntries += entries.length;
    counters.produceBytes += payload.length;
    return andThen(this.#appendAll(request, payload), (results) => {
      if (acks !== 0) return reply({ entries: results });
      this.#refuseSilentFailure(results);
      return undefined;
    });
  }

  #appendAll(
    { entries, acks }: ProduceRequest,
    payload: ByteChunks,
  ): MaybePromise<readonly ProduceResult[]> {
    const results: ProduceResult[] = [];
    const pending: Promise<void>[] = [];
    let position = 0;
    for (const [index, entry] of entries.entries()) {
      const start = position;
      position += entry.byteLength;
      const result = this.#append(entry, payload.slice(start, position), acks);
      if (!(result instanceof Promise)) {
        results[index] = result;
        continue;
      }
      const put = result.then((done) => {
        results[index] = done;
      });
      pending.push(put);
    }
    return pending.length === 0 ? results : Promise.all(pending).then(() => results);
  }

  /** Runs up to the append without a pause; never throws or rejects. */
  #append(
    entry: ProduceEntry,
    batches: ByteChunks,
    acks: ProduceRequest['acks'],
  ): MaybePromise<ProduceResult> {
    const { storage } = this.services;
    try {
      const found = findPartition(storage.topics, entry);
      refuseInternalTopic(found.topicName, 'be produced to');
      storage.disk.require(`append to ${found.name}`);
      const appended = found.appendAtOnce(batches, acks);
      if (!(appended instanceof Promise)) return appendedRow(entry, appended);
      return appended.then(
        (done) => appendedRow(entry, done),
        (error: unknown) => this.#failedRow(entry, error),
      );
    } catch (error) {
      return this.#failedRow(entry, error);
    }
  }

  #failedRow({ topicId, partition }: ProduceEntry, error: unknown): ProduceResult {
    const { counters, logger } = this.services;
    counters.produceEntriesFailed += 1;
    const what = `append to partition ${partition} of ${topicId}`;
    return {
      topicId,
      partition,
      ...rowFailure(error, what, logger),
      baseOffset: -1,
      logAppendTimeMs: -1,
      logStartOffset: -1,
    };
  }

  /** Nobody reads the results of `acks=0`: as in Kafka, a failure closes the connection. */
  #refuseSilentFailure(results: readonly ProduceResult[]): void {
    const failed = results.find(({ errorCode }) => errorCode !== 0);
    if (failed === undefined) return;
    const { topicId, partition, errorMessage } = failed;
    throw new ConnectionFatalError(
      `produce with acks=0 to partition ${partition} of ${topicId}: ${errorMessage ?? ''}`,
    );
  }
}

function appendedRow({ topicId, partition }: ProduceEntry, appended: AppendResult): ProduceResult {
  const { baseOffset, logAppendTimeMs, logStartOffset } = appended;
  return {
    topicId,
    partition,
    errorCode: 0,
    errorMessage: null,
    baseOffset,
    logAppendTimeMs,
    logStartOffset,
  };
}

function lengthProblem(
  entries: readonly ProduceEntry[],
  payload: ByteChunks,
): ProtocolError | undefined {
  let declared = 0;
  for (const { byteLength } of entries) declared += byteLength;
  if (declared === payload.length) return undefined;
  return new ProtocolError(
    'INVALID_REQUEST',
    `The rows declare ${declared} bytes of batches, but ${payload.length} follow the header`,
  );
}
