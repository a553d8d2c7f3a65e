import { records } from '../../broker/storage/compaction/segment-files.js';
import type { KeyedRecord } from '../../broker/storage/compaction/segment-files.js';
import type { World } from './world.js';

/** Three of these fill a segment. */
const VALUE_BYTES = 1_100;
const SMALL_SEGMENTS = { 'segment.bytes': '4096', 'max.message.bytes': '4096' };
/** With room for huge pages, and for batches that get there soon. */
const LARGE_SEGMENTS = {
  'segment.bytes': String(8 * 1024 * 1024),
  'max.message.bytes': String(1024 * 1024),
};
const HUGE_VALUE_BYTES = 400_000;
const COMPACTED = {
  'cleanup.policy': 'compact',
  ...SMALL_SEGMENTS,
  'min.cleanable.dirty.ratio': '0',
};
/** A checkpoint is due after this. */
const CHECKPOINT_MS = 1_500;

/** What a storage goes through while its operations on files are noted. */
export type Life = (world: World, random: () => number) => Promise<void>;

let written = 0;

/** A value that no other record has. */
function large(): KeyedRecord[] {
  written += 1;
  return [{ key: null, value: `${written}#`.padEnd(VALUE_BYTES, '.') }];
}

function huge(): KeyedRecord[] {
  written += 1;
  return [{ key: null, value: `${written}#`.padEnd(HUGE_VALUE_BYTES, '.') }];
}

function small(count: number): KeyedRecord[] {
  return Array.from({ length: count }, () => {
    written += 1;
    return { key: null, value: `${written}` };
  });
}

/** Appends of all kinds: with and without a producer, acknowledged early and late, alone and together. */
async function fill(
  world: World,
  topic: string,
  batches: number,
  random: () => number,
): Promise<void> {
  const producer = await world.newProducer();
  for (let i = 0; i < batches; i += 1) {
    const acks = random() < 0.4 ? -1 : 1;
    const mine = producer !== undefined && random() < 0.5;
    const batch = mine ? world.idempotent(producer, large()) : { records: large() };
    const appends = [world.append(topic, batch, acks)];
    if (random() < 0.3) appends.push(world.append(topic, { records: small(2) }, -1));
    await Promise.all(appends);
    if (random() < 0.4) world.clock.advance(CHECKPOINT_MS);
  }
}

/** Each goes through one of the things that change more than one file. */
export const lives: Readonly<Record<string, Life>> = {
  'segments roll, and a stop': async (world, random) => {
    await world.createTopic('t', SMALL_SEGMENTS);
    await fill(world, 't', 12, random);
    await world.restart();
    await fill(world, 't', 6, random);
    await world.seal('t');
    await fill(world, 't', 3, random);
  },

  'a file is cut to its data': async (world, random) => {
    await world.createTopic('t', LARGE_SEGMENTS);
    for (let round = 0; round < 3; round += 1) {
      // Much between two syncs, and then little: huge pages come and go.
      for (let i = 0; i < 8; i += 1) {
        await world.append('t', { records: large() }, 1);
        await new Promise(setImmediate);
      }
      for (let i = 0; i < 3; i += 1) {
        const synced = world.append('t', { records: small(1) }, -1);
        if (random() < 0.5) await world.append('t', { records: small(2) }, 1);
        await synced;
      }
      if (random() < 0.3) await world.restart();
    }
  },

  'a segment is written, then copied to, then written': async (world, random) => {
    await world.createTopic('t', LARGE_SEGMENTS);
    // Beyond the first huge page, which is where the second begins.
    for (let i = 0; i < 8; i += 1) {
      await world.append('t', { records: huge() }, 1);
      await new Promise(setImmediate);
    }
    for (let i = 0; i < 4; i += 1) {
      await world.append('t', { records: large() }, random() < 0.5 ? -1 : 1);
      await world.append('t', { records: small(1) }, 1);
    }
    // So little that it is written again.
    for (let i = 0; i < 2; i += 1) await world.append('t', { records: small(1) }, -1);
    await world.append('t', { records: large() }, 1);
  },

  'offsets are reserved': async (world, random) => {
    await world.createTopic('t');
    for (let i = 0; i < 12; i += 1) {
      const count = 1 + Math.floor(random() * 9);
      await world.append('t', { records: small(count) }, random() < 0.3 ? -1 : 1);
      if (random() < 0.3) world.clock.advance(CHECKPOINT_MS);
    }
  },

  'segments are compacted': async (world) => {
    await world.createTopic('t', COMPACTED);
    for (const text of ['a=1 b=1', 'a=2 c=1', 'b=2 d', 'a=3']) {
      await world.append('t', { records: records(text) });
      await world.seal('t');
    }
    await world.append('t', { records: records('e=1') });
    await world.compact();
    await world.append('t', { records: records('a=4 f=1') }, 1);
    await world.seal('t');
    await world.compact();
    await world.append('t', { records: records('g=1') });
  },

  'topics come and go': async (world, random) => {
    await world.createTopic('a', SMALL_SEGMENTS);
    await world.createTopic('b', {}, 2);
    await world.append('a', { records: small(2) });
    await world.append('b', { records: small(1) }, -1, 1);
    await world.alterTopic('a', 'retention.ms', '1000000');
    await world.addPartitions('a', 2);
    await world.append('a', { records: small(3) }, -1, 1);
    await world.deleteTopic('b');
    await world.createTopic('b');
    await fill(world, 'b', 2, random);
    await world.deleteTopic('a');
  },

  'records are deleted': async (world, random) => {
    await world.createTopic('t', SMALL_SEGMENTS);
    await fill(world, 't', 7, random);
    await world.deleteRecords('t', 4);
    await fill(world, 't', 3, random);
    await world.seal('t');
    await world.deleteRecords('t', world.partition('t')?.highWatermark ?? 0);
    await fill(world, 't', 2, random);
    await world.restart();
    await fill(world, 't', 1, random);
  },

  'groups commit': async (world) => {
    await world.createTopic('t');
    await world.append('t', { records: small(5) });
    for (let i = 1; i <= 4; i += 1) {
      await Promise.all([world.commit('one', 't', i), world.commit('two', 't', i)]);
    }
    await world.restart();
    await world.commit('one', 't', 5);
  },
};
