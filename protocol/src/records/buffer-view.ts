/**
 * A Buffer over part of another's memory. `subarray` looks up the species and checks ranges that
 * are known to be valid here: 62 ns a view against 25 ns for this class, which decides whether a
 * consumer reads ten or fifteen million views a second.
 */
class BufferView extends Uint8Array {}
Object.setPrototypeOf(BufferView.prototype, Buffer.prototype as object);
// So that `constructor` is inherited, and the views print and compare as the Buffers they are.
Reflect.deleteProperty(BufferView.prototype, 'constructor');

/** `length` bytes of `bytes` from `start` on, without copying. The caller checked the range. */
export function viewOf(bytes: Uint8Array, start: number, length: number): Buffer {
  const memory = bytes.buffer as ArrayBuffer;
  return new BufferView(memory, bytes.byteOffset + start, length) as unknown as Buffer;
}
