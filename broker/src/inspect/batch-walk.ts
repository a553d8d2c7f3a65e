import { BATCH_OVERHEAD_BYTES, crc32c, readBatchHeader } from '@millrace/protocol';
import type { BatchHeader } from '@millrace/protocol';
import { MAX_STORED_BATCH_BYTES } from '../storage/storage-config.js';
import { firstContent } from './file-reader.js';
import type { FileReader } from './file-reader.js';

const MAGIC = 2;
/** A CRC-32C covers a batch from its attributes on. */
const CRC_COVERS_FROM = 21;

/** A batch whose frame is plausible; whether its content is says `crcFits`. */
export interface WalkedBatch {
  readonly kind: 'batch';
  readonly position: number;
  readonly header: BatchHeader;
  /** The whole batch, until the next step of the walk. */
  readonly bytes: Buffer;
  /** The checksum of what is there, and whether it is the one that the header holds. */
  readonly crc: number;
  readonly crcFits: boolean;
}

/** Nothing but zeros up to the end: room that was allocated ahead of the data. */
export interface WalkedZeros {
  readonly kind: 'zeros';
  readonly position: number;
  readonly length: number;
}

/** There is no batch where one must start: the walk is over. */
export interface WalkedDamage {
  readonly kind: 'damage';
  readonly position: number;
  readonly problem: string;
}

export type Walked = WalkedBatch | WalkedZeros | WalkedDamage;

/** Walks the batches of a segment file from a position where one starts, to the end of the file. */
export function* walkBatches(file: FileReader, from = 0): Generator<Walked, void> {
  let position = from;
  while (position < file.sizeBytes) {
    const walked = batchAt(file, position);
    yield walked;
    if (walked.kind !== 'batch') return;
    position += walked.header.sizeBytes;
  }
}

/** What is at `position`, which is before the end of the file. */
export function batchAt(file: FileReader, position: number): Walked {
  const left = file.sizeBytes - position;
  const start = file.bytes(position, Math.min(left, BATCH_OVERHEAD_BYTES));
  const damage = (problem: string): WalkedDamage => ({ kind: 'damage', position, problem });
  if (start.every((byte) => byte === 0)) {
    const content = firstContent(file, position, file.sizeBytes);
    if (content === undefined) return { kind: 'zeros', position, length: left };
    return damage(`there is no batch but zeros, and more data at byte ${content}`);
  }
  if (start.length < BATCH_OVERHEAD_BYTES) {
    return damage(`the file ends within a batch header, ${left} bytes behind its start`);
  }
  const header = readBatchHeader(start);
  const problem = frameProblem(header, left);
  if (problem !== undefined) return damage(problem);
  const bytes = file.bytes(position, header.sizeBytes);
  if (bytes.length < header.sizeBytes) return damage('the file became shorter meanwhile');
  const crc = crc32c(bytes.subarray(CRC_COVERS_FROM));
  return { kind: 'batch', position, header, bytes, crc, crcFits: crc === header.crc };
}

/** Without a plausible frame nobody knows where the next batch would start. */
function frameProblem(
  { magic, batchLength, sizeBytes }: BatchHeader,
  left: number,
): string | undefined {
  if (magic !== MAGIC) return `there is no batch: magic ${magic} instead of ${MAGIC}`;
  if (sizeBytes < BATCH_OVERHEAD_BYTES || sizeBytes > MAX_STORED_BATCH_BYTES) {
    return `a batch of an impossible length of ${batchLength}`;
  }
  if (sizeBytes > left) return `the file ends within a batch of ${sizeBytes} bytes, after ${left}`;
  return undefined;
}

/** What a reader of the batch would refuse, whatever its place in the log. */
export function headerProblem(batch: WalkedBatch): string | undefined {
  const { header } = batch;
  if (!batch.crcFits) {
    return `the checksum does not fit: the batch says ${hex(header.crc)}, its bytes give ${hex(batch.crc)}`;
  }
  const { recordCount, lastOffsetDelta } = header;
  if (recordCount < 0 || lastOffsetDelta < 0 || recordCount > lastOffsetDelta + 1) {
    return `a record count of ${recordCount} with a last offset delta of ${lastOffsetDelta}`;
  }
  const last = header.baseOffset + lastOffsetDelta;
  if (header.baseOffset < 0 || !Number.isSafeInteger(last)) {
    return `an impossible base offset of ${header.baseOffset}`;
  }
  return undefined;
}

/** Eight hexadecimal digits. */
export function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
