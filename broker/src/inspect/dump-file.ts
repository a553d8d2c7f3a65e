import { basename } from 'node:path';
import type { DumpLine } from './dump-line.js';
import { dumpSegment } from './dump-segment.js';
import type { SegmentDumpOptions } from './dump-segment.js';
import { COPY_SUFFIX } from '../storage/json-file.js';
import { dumpCheckpoint, dumpIndex, dumpJson, jsonDumps } from './dump-small.js';

export type FileKind = 'segment' | 'index' | 'checkpoint' | 'json';

/** Ends of names that hold record batches: also what compaction makes, and what recovery cut off. */
const SEGMENT_NAME = /\.log(\.cleaned|(\.\d+)*\.cut)?$/;
const INDEX_NAME = /\.index(\.cleaned)?$/;

/** What a file of that name holds; undefined for a name that none of ours has. */
export function kindOf(path: string): FileKind | undefined {
  const name = metadataName(path);
  if (SEGMENT_NAME.test(name)) return 'segment';
  if (INDEX_NAME.test(name)) return 'index';
  if (name === 'checkpoint') return 'checkpoint';
  return Object.hasOwn(jsonDumps, name) ? 'json' : undefined;
}

/** A copy is what it is a copy of. */
function metadataName(path: string): string {
  return basename(path, COPY_SUFFIX);
}

/** The names of what can be dumped, for messages. */
export const DUMPABLE = ['*.log', '*.index', 'checkpoint', ...Object.keys(jsonDumps)].join(', ');

/** The content of a file, line by line. @throws DamagedFileError after what could be read. */
export function dumpFile(
  path: string,
  kind: FileKind,
  options: SegmentDumpOptions,
): Iterable<DumpLine> | AsyncIterable<DumpLine> {
  switch (kind) {
    case 'segment':
      return dumpSegment(path, options);
    case 'index':
      return dumpIndex(path, Number(/^\d{20}/.exec(basename(path))?.[0] ?? 0));
    case 'checkpoint':
      return dumpCheckpoint(path);
    case 'json':
      return dumpJson(path, metadataName(path));
  }
}
