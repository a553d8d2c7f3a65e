/*
 * Everything that parses bytes of the other side. A target makes an input of a `Random` and gives what
 * to do with it; whatever comes out but one of our own errors is a finding. Beside that they check what
 * must hold of whatever is accepted.
 */
import assert from 'node:assert';
import {
  apiByKey,
  apiOfRequest,
  CLIENT_FRAME_LIMITS,
  decodeAssignment,
  decodeHeader,
  decodeResponseFrame,
  decodeSubscription,
  DEFAULT_FRAME_LIMITS,
  FrameDecoder,
  ProtocolError,
} from '@millrace/protocol';
import { ConsumerOwnership, sameInterest } from '../../../broker/dist/groups/consumer-ownership.js';
import { OffsetsRecord } from '../../../broker/dist/groups/offsets-record.js';
import { decodePreviousAssignment } from '../../../client/dist/group/sticky-user-data.js';
import { batchTargets } from './batch-targets.js';
import { mutate } from './mutate.js';
import { memberBytes, messageHeaders, offsetsRecords, stickyUserData } from './seeds.js';

const requests = messageHeaders('request');
const responses = messageHeaders('response');
const members = {
  subscription: memberBytes('subscription'),
  assignment: memberBytes('assignment'),
};
const sticky = stickyUserData();
const offsets = offsetsRecords();

const mutated = (random, seeds) => mutate(random, random.pick(seeds), seeds);

/** A header in a frame whose lengths are mostly right; sometimes payload follows, or another frame. */
function frameOf(random, seeds) {
  const header = random.chance(0.9) ? mutated(random, seeds) : random.pick(seeds).bytes;
  const payload = random.chance(0.2) ? Buffer.alloc(random.int(200), 2) : Buffer.alloc(0);
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32BE(4 + header.length + payload.length, 0);
  lengths.writeUInt32BE(header.length, 4);
  const frame = Buffer.concat([lengths, header, payload]);
  if (random.chance(0.15)) {
    return mutate(random, { bytes: frame, points: [0, 1, 2, 3, 4, 5, 6, 7] }, seeds);
  }
  return random.chance(0.1) ? Buffer.concat([frame, frame]) : frame;
}

/** Frames and the name of the error that came after them, however the bytes are cut. */
function framesIn(bytes, limits, pieces) {
  const decoder = new FrameDecoder(limits);
  const frames = [];
  try {
    for (const piece of pieces) frames.push(...decoder.push(piece));
    assert(decoder.bufferedBytes <= bytes.length);
    return { frames, error: undefined };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { frames: [...frames, ...decoder.framesBeforeError], error };
  }
}

/** Cut by the input's own bytes, so that its hex alone repeats it. */
function inPieces(bytes) {
  const pieces = [];
  let at = 0;
  for (let n = 0; at < bytes.length; n += 1) {
    const size = 1 + ((bytes[(n * 7) % bytes.length] ?? 0) % 29);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

function decodeFrames(bytes, limits, decode) {
  const whole = framesIn(bytes, limits, [bytes]);
  const cut = framesIn(bytes, limits, inPieces(bytes));
  assert.strictEqual(cut.frames.length, whole.frames.length, 'cut differently, other frames came');
  assert.strictEqual(
    cut.error?.errorName,
    whole.error?.errorName,
    'cut differently, another error',
  );
  let failure = whole.error;
  for (const frame of whole.frames) {
    try {
      decode(frame);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      failure = error;
    }
  }
  if (failure !== undefined) throw failure;
}

/** What was accepted is the same after another way through the codec. */
function checkRoundTrip(encode, decode, message) {
  assert.deepStrictEqual(decode(encode(message)), message);
}

function decodeRequest(frame) {
  const api = apiOfRequest(frame);
  const request = api.decodeRequest(frame.fields);
  checkRoundTrip(api.encodeRequest, api.decodeRequest, request);
}

function decodeResponse(frame) {
  const api = apiByKey(frame.apiKey) ?? apiByKey(0);
  const response = decodeResponseFrame(api, frame);
  assert(typeof response === 'object' && response !== null);
}

const record = new OffsetsRecord();

const frameTargets = [
  {
    name: 'request frames, as a broker reads them',
    weight: 6,
    make: (random) => frameOf(random, requests),
    run: (bytes) => decodeFrames(bytes, DEFAULT_FRAME_LIMITS, decodeRequest),
  },
  {
    name: 'response frames, as a client reads them',
    weight: 6,
    make: (random) => frameOf(random, responses),
    run: (bytes) => decodeFrames(bytes, CLIENT_FRAME_LIMITS, decodeResponse),
  },
  {
    name: 'headers alone',
    weight: 3,
    make: (random) => mutated(random, random.chance(0.5) ? requests : responses),
    run: (bytes) => {
      const { fields } = decodeHeader(bytes);
      assert(Array.isArray(fields));
    },
  },
];

const groupTargets = [
  {
    name: 'consumer subscriptions',
    weight: 3,
    make: (random) => mutated(random, members.subscription),
    run: (bytes) => {
      assert.strictEqual(
        typeof sameInterest('consumer', members.subscription[0].bytes, bytes),
        'boolean',
      );
      const { userData } = decodeSubscription(bytes);
      if (userData !== null) decodePreviousAssignment(userData);
    },
  },
  {
    name: 'consumer assignments',
    weight: 3,
    make: (random) => mutated(random, members.assignment),
    run: (bytes) => {
      ConsumerOwnership.decode('consumer', [
        ['a', members.assignment[0].bytes],
        ['b', bytes],
      ]);
      decodeAssignment(bytes);
    },
  },
  {
    name: 'user data of the sticky assignor',
    weight: 3,
    make: (random) => mutated(random, sticky),
    run: (bytes) => {
      decodePreviousAssignment(bytes);
    },
  },
  {
    name: 'records of __offsets',
    weight: 4,
    make: (random) => mutated(random, offsets),
    run: (bytes) => {
      if (bytes.length < 2) return;
      const keyLength = Math.min(bytes.readUInt16BE(0), bytes.length - 2);
      const valueStart = 2 + keyLength;
      const valueLength = valueStart === bytes.length ? -1 : bytes.length - valueStart;
      const problem = record.read(bytes, 2, keyLength, valueStart, valueLength);
      assert(problem === undefined || typeof problem === 'string');
    },
  },
];

export const targets = [...frameTargets, ...batchTargets, ...groupTargets];

/** What a broker or client may throw at bytes that make no sense. */
export function isOurs(error) {
  return error instanceof ProtocolError || error?.name === 'CorruptMessageError';
}
