import { compressionName, ProtocolError, RecordBatchView } from '@millrace/protocol';
import type { RecordCursor } from '@millrace/protocol';
import { batchAt, headerProblem, hex } from './batch-walk.js';
import type { Walked, WalkedBatch } from './batch-walk.js';
import { bytesJson, DamagedFileError, excerpt, timeText } from './dump-line.js';
import type { DumpLine } from './dump-line.js';
import { FileReader } from './file-reader.js';
import { offsetsLine } from './offsets-line.js';

export interface SegmentDumpOptions {
  /** Also each record. */
  readonly records: boolean;
  /** Records as what they mean in `__offsets`. */
  readonly offsets: boolean;
  /** The first offset that is wanted: batches before the one that holds it are passed over, unchecked. */
  readonly from: number;
  readonly maxBatches: number;
  /** A broker appends to the file. */
  readonly live: boolean;
}

const CODEC_MASK = 0x07;
const APPEND_TIME = 0x08;
const CONTROL = 0x20;

/** The batches of a segment, one by one. @throws DamagedFileError where they end before the file does. */
export function* dumpSegment(path: string, options: SegmentDumpOptions): Generator<DumpLine, void> {
  const file = new FileReader(path);
  try {
    let position = 0;
    let dumped = 0;
    while (position < file.sizeBytes && dumped < options.maxBatches) {
      const walked = settled(file, position, options.live);
      if (walked.kind === 'damage') throw new DamagedFileError(path, position, walked.problem);
      if (walked.kind === 'zeros') {
        yield zerosLine(position, walked.length);
        return;
      }
      const { header } = walked;
      position += header.sizeBytes;
      if (header.baseOffset + header.lastOffsetDelta < options.from) continue;
      dumped += 1;
      yield batchLine(walked);
      const problem = headerProblem(walked);
      if (problem !== undefined) throw new DamagedFileError(path, walked.position, problem);
      if (options.records || options.offsets) yield* recordLines(path, walked, options.offsets);
    }
  } finally {
    file.close();
  }
}

/** What a broker was just writing when it was read is looked at once more. */
function settled(file: FileReader, position: number, live: boolean): Walked {
  const walked = batchAt(file, position);
  const bad = walked.kind === 'damage' || (walked.kind === 'batch' && !walked.crcFits);
  if (!live || !bad) return walked;
  file.forget();
  return batchAt(file, position);
}

function zerosLine(position: number, length: number): DumpLine {
  const what = 'room allocated ahead of the data, as an active segment has it';
  return {
    text: () => `position ${position}: ${length} bytes of zeros to the end of the file: ${what}`,
    json: () => ({ type: 'zeros', position, bytes: length }),
  };
}

function batchLine({ position, header, crcFits }: WalkedBatch): DumpLine {
  const { attributes, baseOffset, producerId } = header;
  const lastOffset = baseOffset + header.lastOffsetDelta;
  const codecId = attributes & CODEC_MASK;
  const codec = compressionName(codecId) ?? `codec ${codecId}`;
  const timestampType = (attributes & APPEND_TIME) === 0 ? 'CreateTime' : 'LogAppendTime';
  const control = (attributes & CONTROL) !== 0;
  return {
    text: () => {
      const producer =
        producerId < 0
          ? 'no producer id'
          : `producer ${producerId} epoch ${header.producerEpoch} sequence ${header.baseSequence}`;
      const times = [header.baseTimestampMs, header.maxTimestampMs].map(timeText).join(' to ');
      return [
        `position ${position}: offsets ${baseOffset}-${lastOffset}`,
        `${header.recordCount} records`,
        ...(control ? ['control'] : []),
        ...[codec, `${times} (${timestampType})`, producer],
        `epoch ${header.partitionLeaderEpoch}`,
        `${header.sizeBytes} bytes`,
        `crc ${hex(header.crc)} ${crcFits ? 'ok' : 'WRONG'}`,
      ].join(', ');
    },
    json: () => ({
      ...{ type: 'batch', position, baseOffset, lastOffset, recordCount: header.recordCount },
      ...{ codec, timestampType, control },
      baseTimestampMs: header.baseTimestampMs,
      maxTimestampMs: header.maxTimestampMs,
      ...{ producerId, producerEpoch: header.producerEpoch, baseSequence: header.baseSequence },
      leaderEpoch: header.partitionLeaderEpoch,
      ...{ sizeBytes: header.sizeBytes, crc: hex(header.crc), crcOk: crcFits },
    }),
  };
}

function* recordLines(
  path: string,
  batch: WalkedBatch,
  offsets: boolean,
): Generator<DumpLine, void> {
  try {
    const cursor = RecordBatchView.read(batch.bytes, 0, { checkCrc: false }).cursor();
    while (cursor.next()) yield offsets ? offsetsLine(cursor) : recordLine(cursor);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new DamagedFileError(path, batch.position, error.message);
  }
}

function recordLine(record: RecordCursor): DumpLine {
  const { offset, timestampMs, headerCount } = record;
  return {
    text: () => {
      const headers = headerCount === 0 ? '' : `, ${headerCount} headers`;
      const key = excerpt(record.key());
      return `  offset ${offset}: ${timeText(timestampMs)}, key ${key}, value ${excerpt(record.value())}${headers}`;
    },
    json: () => ({
      ...{ type: 'record', offset, timestampMs },
      key: bytesJson(record.key()),
      value: bytesJson(record.value()),
      headers:
        headerCount === 0 ? [] : record.headers().map(([name, value]) => [name, bytesJson(value)]),
    }),
  };
}
