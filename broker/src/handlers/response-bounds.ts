import { MAX_HEADER_ELEMENTS, ProtocolError } from '@millrace/protocol';
import type { Topic } from '../topics/topic-registry.js';

/**
 * @param what is named, for the message.
 * @throws ProtocolError INVALID_REQUEST when a name is there twice.
 */
export function refuseRepeated(api: string, names: readonly string[], what = 'topic'): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      throw new ProtocolError(
        'INVALID_REQUEST',
        `${api}: ${what} ${JSON.stringify(name)} is named more than once`,
      );
    }
    seen.add(name);
  }
}

/**
 * Counts what an answer about topics will be made of before any of it is made: it has to fit into one
 * header, and building one that does not would hold up everybody else.
 *
 * @param perTopic values of a row in the response, whatever its partitions.
 * @param perPartition values of a partition in it.
 * @throws ProtocolError LIMIT_EXCEEDED
 */
export function refuseTooLarge(
  api: string,
  topics: readonly (Topic | undefined)[],
  { perTopic, perPartition }: { readonly perTopic: number; readonly perPartition: number },
): void {
  let partitions = 0;
  for (const topic of topics) partitions += topic?.partitions.length ?? 0;
  const values = topics.length * perTopic + partitions * perPartition;
  if (values <= MAX_HEADER_ELEMENTS) return;
  throw new ProtocolError(
    'LIMIT_EXCEEDED',
    `${api}: ${topics.length} topics with ${partitions} partitions do not fit into one response ` +
      `(${values} values; it holds ${MAX_HEADER_ELEMENTS}); ask for fewer topics at a time`,
  );
}
