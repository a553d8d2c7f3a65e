import type { FetchedBatch } from '@millrace/client';
import type { ReadRecord } from '../checker/history.js';
import { momentMs } from '../checker/recorder.js';
import { producerName, readContent } from './content.js';

/** The messages of a batch as a history has them, their content checked. */
export function recordsOf(batch: FetchedBatch): ReadRecord[] {
  const readAt = momentMs();
  return Array.from(batch, ({ offset, value }) => {
    const content = readContent(value, batch.partition);
    if ('problem' in content) return { offset, producer: '', sequence: -1, readAt, ...content };
    const { producer, sequence } = content;
    return { offset, producer: producerName(producer), sequence, readAt };
  });
}
