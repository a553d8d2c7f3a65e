/*
 * One load generator for the prototype and the broker: the same receiver, the same window of requests.
 * It runs as a process of its own and prints what it moved, as JSON.
 *
 * usage: node load.js in|out prototype|broker PORT TOTAL_BYTES
 */
import { connect } from 'node:net';
import {
  ByteChunks,
  createTopicsApi,
  decodeFrame,
  decodeResponseFrame,
  encodeRequestFrame,
  fetchApi,
  FrameDecoder,
  metadataApi,
  produceApi,
  RecordBatchBuilder,
  inspectBatches,
} from '@millrace/protocol';

const BATCH_BYTES = 64 * 1024;
const FETCH_BYTES = 1024 * 1024;
/** What the bare loop's file holds at least: reads go round in it. */
const READ_ROUND_BYTES = 512 * 1024 * 1024;
/** Requests under way. */
const APPEND_WINDOW = 8;
const READ_WINDOW = 2;

const [direction, kind, port, total] = process.argv.slice(2);
const totalBytes = Number(total);

/** Calls `onFrame(start of the frame, frame length)` when a frame is over; drops its other bytes. */
function receive(socket, keepBytes, onFrame) {
  let head = Buffer.alloc(0);
  let remaining = -1;
  let length = 0;
  socket.on('data', (data) => {
    let chunk = data;
    while (chunk.length > 0) {
      if (remaining < 0) {
        head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
        if (head.length < 4) return;
        length = head.readUInt32BE(0);
        chunk = head;
        remaining = 4 + length;
        head = Buffer.alloc(0);
      }
      const part = chunk.subarray(0, remaining);
      if (head.length < keepBytes)
        head = Buffer.concat([head, part.subarray(0, keepBytes - head.length)]);
      remaining -= part.length;
      chunk = chunk.subarray(part.length);
      if (remaining > 0) return;
      remaining = -1;
      const kept = head;
      head = Buffer.alloc(0);
      onFrame(kept, length);
    }
  });
}

/** A batch of exactly `BATCH_BYTES`. */
function fullBatch() {
  const builder = new RecordBatchBuilder({});
  const value = Buffer.alloc(1000, 'm');
  const add = (bytes) => builder.append(null, value.subarray(0, bytes), null, Date.now());
  while (builder.sizeBytes + 2200 < BATCH_BYTES) add(1000);
  for (let last = BATCH_BYTES - builder.sizeBytes; last > 0; last -= 1) {
    const trial = new RecordBatchBuilder({});
    for (let i = 0; i < builder.recordCount; i += 1) trial.append(null, value, null, Date.now());
    trial.append(null, Buffer.alloc(last, 'm'), null, Date.now());
    if (trial.sizeBytes === BATCH_BYTES) return trial.build();
  }
  throw new Error('no batch of that size');
}

const socket = connect({ host: '127.0.0.1', port: Number(port), noDelay: true });
const batch = fullBatch();
const records = inspectBatches(new ByteChunks([batch]), {
  maxBatchBytes: 1e9,
  maxRecordsPerBatch: 1e6,
})[0].header.recordCount;

/** One request and its answer on a connection of its own. */
function call(api, request) {
  return new Promise((resolve, reject) => {
    const connection = connect({ host: '127.0.0.1', port: Number(port) });
    const decoder = new FrameDecoder();
    connection.on('error', reject);
    connection.on('data', (chunk) => {
      for (const frame of decoder.push(chunk)) {
        connection.destroy();
        resolve(decodeResponseFrame(api, frame));
      }
    });
    connection.write(encodeRequestFrame(api, 1, request));
  });
}

/** The broker's topic of two partitions: made by the first load, found by the next. */
async function topicId() {
  const topics = [{ name: 'spine', partitions: 2, config: [] }];
  await call(createTopicsApi, { topics, timeoutMs: 30_000 });
  const found = await call(metadataApi, { topics: ['spine'] });
  return found.topics[0].topicId;
}

const id = kind === 'broker' ? await topicId() : '';

function appendRequest(i) {
  if (kind === 'prototype') {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(1 + BATCH_BYTES);
    head[4] = 1;
    return head;
  }
  const entries = [{ topicId: id, partition: i % 2, byteLength: BATCH_BYTES }];
  return encodeRequestFrame(produceApi, i, { acks: 1, timeoutMs: 30_000, entries }, BATCH_BYTES);
}

function load() {
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    const started = performance.now();
    const finish = (bytes) => resolve({ bytes, seconds: (performance.now() - started) / 1000 });
    if (direction === 'in') {
      const count = Math.ceil(totalBytes / BATCH_BYTES);
      let sent = 0;
      let answered = 0;
      const send = () => {
        socket.cork();
        socket.write(appendRequest(sent));
        socket.write(batch);
        socket.uncork();
        sent += 1;
      };
      receive(socket, 512, (kept) => {
        answered += 1;
        if (kind === 'broker' && answered === 1) {
          const { entries } = decodeResponseFrame(produceApi, decodeFrame(kept));
          if (entries[0].errorCode !== 0) reject(new Error(entries[0].errorMessage));
        }
        if (sent < count) send();
        else if (answered === count) finish(count * BATCH_BYTES);
      });
      for (let i = 0; i < Math.min(APPEND_WINDOW, count); i += 1) send();
      return;
    }
    let received = 0;
    const next = [0, 0];
    const ask = (slot) => {
      if (kind === 'prototype') {
        const request = Buffer.alloc(17);
        request.writeUInt32BE(13);
        request[4] = 2;
        request.writeDoubleBE(next[slot], 5);
        request.writeUInt32BE(FETCH_BYTES, 13);
        next[slot] = (next[slot] + FETCH_BYTES) % READ_ROUND_BYTES;
        socket.write(request);
        return;
      }
      const entries = [{ topicId: id, partition: slot, offset: next[slot], maxBytes: FETCH_BYTES }];
      const request = { maxWaitMs: 0, minBytes: 1, maxBytes: FETCH_BYTES, entries };
      socket.write(encodeRequestFrame(fetchApi, slot, request));
    };
    let turn = 0;
    receive(socket, 512, (kept, length) => {
      let bytes = length;
      let slot = turn;
      turn = (turn + 1) % READ_WINDOW;
      if (kind === 'broker') {
        const headerEnd = 8 + kept.readUInt32BE(4);
        const header = Buffer.from(kept.subarray(0, headerEnd));
        header.writeUInt32BE(headerEnd - 4, 0);
        const frame = decodeFrame(header);
        const [entry] = decodeResponseFrame(fetchApi, frame).entries;
        slot = frame.correlationId;
        bytes = entry.byteLength;
        if (entry.errorCode !== 0) reject(new Error(`fetch: ${JSON.stringify(entry)}`));
        // From the end of the log the load goes round to its beginning.
        next[slot] = bytes === 0 ? 0 : next[slot] + (bytes / BATCH_BYTES) * records;
      }
      received += bytes;
      if (received >= totalBytes) finish(received);
      else ask(slot);
    });
    for (let slot = 0; slot < READ_WINDOW; slot += 1) ask(slot);
  });
}

const result = await load();
socket.destroy();
console.log(JSON.stringify(result));
process.exit(0);
