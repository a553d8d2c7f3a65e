import { parentPort } from 'node:worker_threads';
import { ByteChunks, firstNullKey, ProtocolError } from '@millrace/protocol';
import type { NullKeyAnswer, NullKeyQuestion } from './messages.js';

/* The entry of the thread that looks into batches of compacted topics. */
if (parentPort === null) throw new Error('this file is the entry of a worker thread');
const port = parentPort;

port.on('message', (question: NullKeyQuestion) => port.postMessage(answer(question)));

function answer({ bytes, maxUnpackedBytes }: NullKeyQuestion): NullKeyAnswer {
  try {
    const { buffer, byteOffset, byteLength } = bytes;
    const batch = new ByteChunks([Buffer.from(buffer, byteOffset, byteLength)]);
    return { type: 'found', index: firstNullKey(batch, maxUnpackedBytes) };
  } catch (error) {
    const errorName = error instanceof ProtocolError ? error.errorName : undefined;
    return { type: 'failed', errorName, message: (error as Error).message };
  }
}
