import type { ListedSegment } from './listed-segments.js';
import type { CompactionManifest, CompletedPass, PendingSwap } from './manifest.js';

/** What the content of a `compaction.json` says; undefined when that is nothing of the kind. */
export function decodeManifest(content: unknown): CompactionManifest | undefined {
  if (typeof content !== 'object' || content === null) return undefined;
  if (!('cleanedTo' in content && isOffset(content.cleanedTo))) return undefined;
  if (!('dirtyFrom' in content && isOffset(content.dirtyFrom))) return undefined;
  if (!('firstTombstone' in content && Number.isSafeInteger(content.firstTombstone))) {
    return undefined;
  }
  if (!('passes' in content && Array.isArray(content.passes))) return undefined;
  const passes = content.passes as readonly unknown[];
  if (!passes.every(isPass)) return undefined;
  const { cleanedTo, dirtyFrom } = content;
  const firstTombstone = content.firstTombstone as number;
  const segments = 'segments' in content ? content.segments : [];
  if (!(Array.isArray(segments) && segments.every(isListed))) return undefined;
  const manifest = { cleanedTo, dirtyFrom, passes, firstTombstone, segments };
  if (!('pending' in content)) return manifest;
  return isPending(content.pending) ? { ...manifest, pending: content.pending } : undefined;
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPass(value: unknown): value is CompletedPass {
  if (typeof value !== 'object' || value === null) return false;
  return 'to' in value && isOffset(value.to) && 'endedAtMs' in value && isOffset(value.endedAtMs);
}

function isPending(value: unknown): value is PendingSwap {
  if (typeof value !== 'object' || value === null) return false;
  if (!('base' in value && 'end' in value && 'bytes' in value)) return false;
  const { base, end, bytes } = value;
  return isOffset(base) && isOffset(end) && isOffset(bytes) && base < end;
}

function isListed(value: unknown): value is ListedSegment {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [base, end] = value as readonly unknown[];
  return isOffset(base) && isOffset(end) && base < end;
}
