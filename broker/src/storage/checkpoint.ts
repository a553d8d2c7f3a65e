import { open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { crc32c } from '@millrace/protocol';
import { writeFileAtomically } from './atomic-file.js';
import { DataDirError, errnoOf } from './errors.js';

/** What a partition knows to be on the device, and what it has promised about offsets. */
export interface Checkpoint {
  /** Base offset of the segment that `position` is in. */
  readonly segmentBase: number;
  /** Everything before this byte of that segment, and every earlier segment, is synced. */
  readonly position: number;
  /** The offset after the last record before `position`. */
  readonly endOffset: number;
  /** Leader epoch of the log's end. */
  readonly leaderEpoch: number;
  /** No offset at or beyond this was ever assigned: a restart continues here or later. */
  readonly ceiling: number;
  /** The first offset that the log still answers for. */
  readonly startOffset: number;
  /** A sync failed: what the page cache shows beyond `position` is not to be believed. */
  readonly tailDistrusted: boolean;
  /** There is an `epochs.json`: if it is not there it was lost. */
  readonly hasEpochs: boolean;
  /** The same of `compaction.json`. */
  readonly hasManifest: boolean;
  /** The most by which one write has raised, or will raise, the ceiling. */
  readonly reservationStep: number;
  /** The producer snapshot that was taken at this offset ... */
  readonly snapshotOffset: number;
  /** ... still held at this one: no producer's batch came between. Both -1: there is none. */
  readonly snapshotHoldsTo: number;
}

/*
 * The file is two slots of 512 bytes, written in turn and in place, so that rewriting it costs one
 * sync, needs no space, and a torn write leaves the other slot. A slot, big-endian:
 *
 *     u32 magic 'MRCP' · u16 version · u16 flags (1 = tail distrusted, 2 = has epochs,
 *     4 = has manifest) · u64 sequence
 *     i64 segmentBase · i64 position · i64 endOffset · i64 ceiling · i64 startOffset · i32 leaderEpoch
 *     u32 reservationStep · i64 snapshotOffset · i64 snapshotHoldsTo
 *     u32 crc32c of the 80 bytes before
 */
export const SLOT_BYTES = 512;
const MAGIC = 0x4d524350;
const VERSION = 1;
const FLAG_DISTRUSTED = 1;
const FLAG_HAS_EPOCHS = 2;
const FLAG_HAS_MANIFEST = 4;
/** Bytes before the checksum. */
const CHECKED_BYTES = 80;

/** One of the two, as written. */
export interface Slot {
  readonly sequence: number;
  readonly checkpoint: Checkpoint;
}

/** The checkpoint of one partition. Updates are merged and written one at a time. */
export class CheckpointFile {
  #sequence: number;
  #current: Checkpoint | undefined;
  /** What the slots hold, by position in the file. */
  readonly #slots: [Checkpoint | undefined, Checkpoint | undefined];
  #next: Promise<void> | undefined;
  #running: Promise<void> | undefined;

  private constructor(
    readonly path: string,
    slots: readonly [Slot | undefined, Slot | undefined],
    /** A slot is damaged: the newest checkpoint may be the one that is lost. */
    readonly slotLost: boolean,
  ) {
    const [first, second] = slots;
    const newest = (second?.sequence ?? 0) > (first?.sequence ?? 0) ? second : first;
    this.#sequence = newest?.sequence ?? 0;
    this.#current = newest?.checkpoint;
    this.#slots = [first?.checkpoint, second?.checkpoint];
  }

  /**
   * Reads the file at `path`, which need not exist.
   * @throws DataDirError `damaged` when it exists and no slot can be read.
   */
  static async load(path: string): Promise<CheckpointFile> {
    let bytes: Buffer;
    try {
      bytes = await readFile(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT')
        return new CheckpointFile(path, [undefined, undefined], false);
      throw error;
    }
    const slots = [decodeSlot(bytes, 0), decodeSlot(bytes, SLOT_BYTES)] as const;
    const [first, second] = slots.map((slot) => (typeof slot === 'object' ? slot : undefined));
    if (first === undefined && second === undefined) {
      throw new DataDirError('damaged', `${path} is damaged: neither of its two slots is valid`);
    }
    return new CheckpointFile(path, [first, second], slots.includes('damaged'));
  }

  /** The last content that was asked for; undefined while there is none. */
  get current(): Checkpoint | undefined {
    return this.#current;
  }

  /**
   * What is on the device in either slot, so that it holds whichever is lost: the smaller of both. Files
   * below may be removed or rewritten only then, or the slot that is left would not fit them.
   */
  get certain(): Pick<Checkpoint, 'segmentBase' | 'startOffset'> {
    const [first, second] = this.#slots;
    const one = first ?? second ?? emptyCheckpoint;
    const other = second ?? one;
    return {
      segmentBase: Math.min(one.segmentBase, other.segmentBase),
      startOffset: Math.min(one.startOffset, other.startOffset),
    };
  }

  /** Resolves when both slots durably hold the current content, or a later one. */
  async updateBoth(): Promise<void> {
    await this.update({});
    await this.update({});
  }

  /** Changes what the next write will hold, without asking for one. */
  amend(change: Partial<Checkpoint>): void {
    if (this.#current !== undefined) this.#current = { ...this.#current, ...change };
  }

  /** Resolves when the file durably holds the current content with `change` applied. */
  update(change: Checkpoint | Partial<Checkpoint>): Promise<void> {
    this.#current = { ...(this.#current ?? emptyCheckpoint), ...change };
    if (this.#next !== undefined) return this.#next;
    const before = this.#running ?? Promise.resolve();
    const turn = before
      .catch(() => undefined) // whoever asked for that write was told
      .then(() => {
        this.#next = undefined;
        this.#running = this.#write();
        return this.#running;
      });
    this.#next = turn;
    return turn;
  }

  /** Resolves when no write is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled([this.#next, this.#running]);
  }

  async #write(): Promise<void> {
    const checkpoint = this.#current ?? emptyCheckpoint;
    const sequence = this.#sequence + 1;
    const creating = this.#sequence === 0;
    const slot = encodeSlot({ sequence, checkpoint });
    const slotIndex = sequence % 2 === 0 ? 0 : 1;
    const position = slotIndex * SLOT_BYTES;
    if (creating) await this.#create(slot, position);
    else await this.#overwrite(slot, position);
    this.#sequence = sequence;
    this.#slots[slotIndex] = checkpoint;
  }

  /** By a rename: a crash within it must not leave a file without any valid slot. */
  async #create(slot: Buffer, position: number): Promise<void> {
    const both = Buffer.alloc(2 * SLOT_BYTES);
    slot.copy(both, position);
    await writeFileAtomically(this.path, both);
  }

  async #overwrite(slot: Buffer, position: number): Promise<void> {
    const file = await open(this.path, 'r+');
    try {
      await writeAll(file, slot, position);
      await file.datasync();
    } finally {
      await file.close();
    }
  }
}

/** A write may be short: half a slot must not count as one, for the next goes over the other. */
async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const left = bytes.length - done;
    const { bytesWritten } = await file.write(bytes, done, left, position + done);
    if (bytesWritten === 0) throw new Error('nothing could be written, and no error was given');
    done += bytesWritten;
  }
}

const emptyCheckpoint: Checkpoint = {
  segmentBase: 0,
  position: 0,
  endOffset: 0,
  leaderEpoch: 0,
  ceiling: 0,
  startOffset: 0,
  tailDistrusted: false,
  hasEpochs: false,
  hasManifest: false,
  reservationStep: 0,
  snapshotOffset: -1,
  snapshotHoldsTo: -1,
};

function encodeSlot({ sequence, checkpoint }: Slot): Buffer {
  const slot = Buffer.alloc(SLOT_BYTES);
  slot.writeUInt32BE(MAGIC, 0);
  slot.writeUInt16BE(VERSION, 4);
  slot.writeUInt16BE(flagsOf(checkpoint), 6);
  slot.writeBigUInt64BE(BigInt(sequence), 8);
  slot.writeBigInt64BE(BigInt(checkpoint.segmentBase), 16);
  slot.writeBigInt64BE(BigInt(checkpoint.position), 24);
  slot.writeBigInt64BE(BigInt(checkpoint.endOffset), 32);
  slot.writeBigInt64BE(BigInt(checkpoint.ceiling), 40);
  slot.writeBigInt64BE(BigInt(checkpoint.startOffset), 48);
  slot.writeInt32BE(checkpoint.leaderEpoch, 56);
  slot.writeUInt32BE(checkpoint.reservationStep, 60);
  slot.writeBigInt64BE(BigInt(checkpoint.snapshotOffset), 64);
  slot.writeBigInt64BE(BigInt(checkpoint.snapshotHoldsTo), 72);
  slot.writeUInt32BE(crc32c(slot.subarray(0, CHECKED_BYTES)), CHECKED_BYTES);
  return slot;
}

function flagsOf({ hasEpochs, hasManifest, tailDistrusted }: Checkpoint): number {
  return (
    (tailDistrusted ? FLAG_DISTRUSTED : 0) |
    (hasEpochs ? FLAG_HAS_EPOCHS : 0) |
    (hasManifest ? FLAG_HAS_MANIFEST : 0)
  );
}

/** A slot never written is all zeros and no loss. */
export function decodeSlot(file: Buffer, at: number): Slot | 'unused' | 'damaged' {
  const slot = file.subarray(at, at + SLOT_BYTES);
  if (slot.length < SLOT_BYTES) return 'damaged';
  if (slot.every((byte) => byte === 0)) return 'unused';
  if (slot.readUInt32BE(0) !== MAGIC || slot.readUInt16BE(4) !== VERSION) return 'damaged';
  const checksum = crc32c(slot.subarray(0, CHECKED_BYTES));
  if (slot.readUInt32BE(CHECKED_BYTES) !== checksum) return 'damaged';
  return {
    sequence: Number(slot.readBigUInt64BE(8)),
    checkpoint: {
      segmentBase: Number(slot.readBigInt64BE(16)),
      position: Number(slot.readBigInt64BE(24)),
      endOffset: Number(slot.readBigInt64BE(32)),
      ceiling: Number(slot.readBigInt64BE(40)),
      startOffset: Number(slot.readBigInt64BE(48)),
      leaderEpoch: slot.readInt32BE(56),
      tailDistrusted: (slot.readUInt16BE(6) & FLAG_DISTRUSTED) !== 0,
      hasEpochs: (slot.readUInt16BE(6) & FLAG_HAS_EPOCHS) !== 0,
      hasManifest: (slot.readUInt16BE(6) & FLAG_HAS_MANIFEST) !== 0,
      reservationStep: slot.readUInt32BE(60),
      snapshotOffset: Number(slot.readBigInt64BE(64)),
      snapshotHoldsTo: Number(slot.readBigInt64BE(72)),
    },
  };
}
