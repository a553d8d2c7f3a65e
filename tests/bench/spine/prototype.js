/*
 * The yardstick: a broker loop with nothing but the syscalls. It takes length-prefixed requests, appends
 * what they carry to one file (`mmap` or `write`), and sends stretches of that file back (`sendfile` or
 * `copy`). No checks, no offsets, no syncs, no recovery.
 *
 *     request   u32 length · u8 op (1 append, 2 read) · append: bytes · read: f64 position · u32 count
 *     response  u32 length · append: nothing · read: the bytes
 *
 * usage: node prototype.js DIRECTORY mmap|write sendfile|copy     prints its port
 */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { loadNative } from '@millrace/native';

const FILE_BYTES = 8 * 2 ** 30;
const LEAD_BYTES = 4 * 2 ** 20;
const STEP_BYTES = 16 * 2 ** 20;

const [directory, persist, serve] = process.argv.slice(2);
const native = loadNative();
const file = native.openFile(join(directory, 'prototype.log'), 'create');
const mapping = persist === 'mmap' ? file.map(FILE_BYTES, 'write') : undefined;
let end = 0;
let allocated = 0;
let populated = 0;

function append(chunks, length) {
  if (end + length > allocated) {
    file.allocate(allocated, STEP_BYTES);
    allocated += STEP_BYTES;
  }
  if (mapping === undefined) file.write(chunks, end);
  else {
    mapping.write(chunks, end);
    if (populated < end + LEAD_BYTES / 2) {
      const from = Math.max(populated, end);
      populated = Math.min(from + LEAD_BYTES, allocated);
      if (populated > from) void mapping.populate(from, populated - from);
    }
  }
  end += length;
}

class Sender {
  constructor(writer) {
    this.writer = writer;
    this.queue = [];
    this.waiting = false;
  }

  push(item) {
    this.queue.push(item);
    if (!this.waiting) this.flush();
  }

  /** A load that has what it wanted goes without a word. */
  flush() {
    try {
      this.send();
    } catch (error) {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') throw error;
      this.queue = [];
    }
  }

  send() {
    this.waiting = false;
    while (this.queue.length > 0) {
      const item = this.queue[0];
      if (item.headSent < 4) {
        item.headSent += this.writer.send([item.head], item.headSent, item.length > 0);
      }
      if (item.headSent === 4 && item.length > 0) {
        const sent =
          serve === 'sendfile'
            ? this.writer.sendFile(file, item.position, item.length)
            : this.writer.sendCopied(file, item.position, item.length, false);
        item.position += sent;
        item.length -= sent;
      }
      if (item.headSent < 4 || item.length > 0) {
        this.waiting = true;
        this.writer.onceWritable(() => this.flush());
        return;
      }
      this.queue.shift();
    }
  }
}

function respond(sender, position, length) {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(length);
  sender.push({ head, headSent: 0, position, length });
}

const server = createServer({ noDelay: true }, (socket) => {
  const writer = native.socketWriter(socket._handle.fd);
  const sender = new Sender(writer);
  let chunks = [];
  let buffered = 0;
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    buffered += chunk.length;
    for (;;) {
      if (buffered < 5) return;
      if (chunks[0].length < 5) chunks = [Buffer.concat(chunks)];
      const length = chunks[0].readUInt32BE(0);
      if (buffered < 4 + length) return;
      const frame = take(4 + length);
      if (frame[0].length < 17 && length >= 13 && length < 64)
        frame.splice(0, frame.length, Buffer.concat(frame));
      const first = frame[0];
      if (first[4] === 1) {
        frame[0] = first.subarray(5);
        append(frame, length - 1);
        respond(sender, 0, 0);
      } else respond(sender, first.readDoubleBE(5), first.readUInt32BE(13));
    }
  });
  socket.on('error', () => undefined);
  socket.on('close', () => writer.close());

  function take(count) {
    const taken = [];
    let need = count;
    while (need > 0) {
      const chunk = chunks[0];
      if (chunk.length <= need) {
        taken.push(chunk);
        chunks.shift();
        need -= chunk.length;
      } else {
        taken.push(chunk.subarray(0, need));
        chunks[0] = chunk.subarray(need);
        need = 0;
      }
    }
    buffered -= count;
    return taken;
  }
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
