import type { Mapping, NativeFile, SocketWriter } from '@millrace/native';
import type { FileRegion } from '../storage/file-region.js';
import { nativeFileOf } from './native-file.js';
import type { ServeStrategy } from './serve-strategy.js';

/** How often mappings of files that were closed meanwhile are given up. */
const SWEEP_INTERVAL_MS = 5_000;

/**
 * Sends from a read-only mapping of the segment, as RocketMQ's mmap+write transfer does. Mappings
 * are kept between sends, the least recently used go first.
 */
export class MmapServe implements ServeStrategy<SocketWriter> {
  readonly name = 'mmap';
  /** In the order of their last use: a Map iterates in insertion order. */
  readonly #mappings = new Map<NativeFile, Mapping>();
  readonly #sweeper: NodeJS.Timeout;

  /** @param maxMappings files mapped at a time. */
  constructor(private readonly maxMappings: number) {
    // A mapping of a deleted file would hold its disk space until somebody pushed it out.
    this.#sweeper = setInterval(() => {
      this.sweep();
    }, SWEEP_INTERVAL_MS).unref();
  }

  /** Files mapped now. */
  get mappedFiles(): number {
    return this.#mappings.size;
  }

  send(
    writer: SocketWriter,
    region: FileRegion,
    skip: number,
    length: number,
    more: boolean,
  ): number {
    return writer.sendMapped(this.#mapping(region), region.position + skip, length, more);
  }

  /** Unmaps the files that were closed. */
  sweep(): void {
    for (const file of this.#mappings.keys()) {
      if (file.closed) this.#unmap(file);
    }
  }

  close(): void {
    clearInterval(this.#sweeper);
    for (const file of this.#mappings.keys()) this.#unmap(file);
  }

  #mapping(region: FileRegion): Mapping {
    const file = nativeFileOf(region);
    const needed = region.position + region.length;
    const kept = this.#mappings.get(file);
    if (kept !== undefined && kept.length >= needed) {
      this.#mappings.delete(file);
      this.#mappings.set(file, kept);
      return kept;
    }
    this.#unmap(file);
    this.#makeRoom();
    const mapping = file.map(Math.max(region.mappableBytes, needed), 'read');
    this.#mappings.set(file, mapping);
    return mapping;
  }

  #makeRoom(): void {
    if (this.#mappings.size < this.maxMappings) return;
    this.sweep();
    for (const file of this.#mappings.keys()) {
      if (this.#mappings.size < this.maxMappings) return;
      this.#unmap(file);
    }
  }

  #unmap(file: NativeFile): void {
    this.#mappings.get(file)?.unmap();
    this.#mappings.delete(file);
  }
}
