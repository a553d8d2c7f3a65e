import { FORMAT_VERSION } from '../storage/data-dir.js';

/** What `meta.json` says of a data directory. */
export interface MetaContent {
  readonly formatVersion: number;
  readonly clusterId: string;
  readonly nodeId: number;
}

/** Undefined when the content is no description of a data directory. */
export function decodeMeta(content: unknown): MetaContent | undefined {
  if (typeof content !== 'object' || content === null) return undefined;
  const { formatVersion, clusterId, nodeId } = content as Readonly<Record<string, unknown>>;
  if (typeof formatVersion !== 'number' || typeof clusterId !== 'string') return undefined;
  return typeof nodeId === 'number' ? { formatVersion, clusterId, nodeId } : undefined;
}

/** True when a newer release laid the files out, in a way that this one cannot judge. */
export function isNewer({ formatVersion }: MetaContent): boolean {
  return formatVersion > FORMAT_VERSION;
}
