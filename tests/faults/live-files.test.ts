import { readdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Millrace, MillraceError } from '@millrace/client';
import type { Producer } from '@millrace/client';
import { persistNames } from '../../broker/src/modes.js';
import { BrokerProcess } from '../support/broker-process.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { makeTempDir } from '../support/temp-dir.js';
import { faultLength, faultTimeoutMs } from './support/length.js';
import { Appender, Follower, MESSAGES_PER_BATCH, until } from './support/live-log.js';

const SEGMENT_BYTES = 256 * 1024;
/** Values of some 1,400 bytes that go through two segments and begin a third. */
const VALUES_BEFORE = 450;
const VALUES_AFTER = 100;

const cells = ['sendfile', 'mmap', 'copy'].flatMap((serve) =>
  persistNames.map((persist) => ({ persist, serve })),
);

/** Of this no call and no size tells: only whoever reads what was there notices. */
const FILLED = 'cut and filled with zeros again';

/** What a foreign hand does to a segment's file. */
const damages: Readonly<Record<string, (path: string, part: number) => void>> = {
  cut: (path, part) => truncateSync(path, Math.floor(statSync(path).size * part)),
  [FILLED]: (path, part) => {
    const { size } = statSync(path);
    truncateSync(path, Math.floor(size * part));
    truncateSync(path, size);
  },
  unlinked: (path) => rmSync(path),
  'replaced by zeros': (path) => {
    writeFileSync(`${path}.zeros`, Buffer.alloc(statSync(path).size));
    renameSync(`${path}.zeros`, path);
  },
};

let dataDir: string;
let cleanUp: (() => Promise<unknown>)[];

beforeEach(async () => {
  const directory = await makeTempDir();
  dataDir = directory.path;
  cleanUp = [directory.remove];
});

afterEach(async () => {
  for (const step of cleanUp.reverse()) await step();
});

interface Running {
  readonly broker: BrokerProcess;
  readonly client: Millrace;
  readonly producer: () => Producer;
}

async function start(cell: (typeof cells)[number]): Promise<Running> {
  const args = ['--persist', cell.persist, '--serve', cell.serve];
  const broker = await BrokerProcess.start(dataDir, args, {
    MILLRACE_RETENTION_CHECK_INTERVAL_MS: '100',
    MILLRACE_CLEANER_INTERVAL_MS: '100',
  });
  const client = new Millrace({ brokers: [broker.address], clientId: 'live', closeTimeoutMs: 500 });
  cleanUp.push(
    () => broker.kill(),
    () => client.close(),
  );
  const producer = (): Producer => client.producer({ acks: 'all', lingerMs: 0 });
  return { broker, client, producer };
}

const newTopic = (client: Millrace, name: string, config = {}): Promise<{ topicId: string }> =>
  client.admin.createTopic({
    ...{ name, partitions: 2, config: { 'segment.bytes': SEGMENT_BYTES, ...config } },
  });

function segments(topicId: string, partition: number): string[] {
  const directory = join(dataDir, 'topics', topicId, String(partition));
  const names = readdirSync(directory).filter((name) => name.endsWith('.log'));
  return names.sort().map((name) => join(directory, name));
}

/** A broker that runs, a partition that nothing is wrong with, and what must come of both. */
async function expectOthersUnharmed(
  { broker, client }: Running,
  healthy: { appender: Appender; follower: Follower },
): Promise<void> {
  const { appender, follower } = healthy;
  await appender.advance(VALUES_AFTER);
  await appender.stop();
  await follower.reach(appender.acknowledged - 1);
  expect([appender.failure, follower.failure, follower.anomalies]).toEqual([
    undefined,
    undefined,
    [],
  ]);
  await client.admin.listTopics();
  expect(broker.log).not.toMatch(/SIGBUS|SIGSEGV|uncaught/i);
}

function expectOurs(failure: unknown): void {
  if (failure !== undefined) expect(failure).toBeInstanceOf(MillraceError);
}

describe('files that change under maps and sends', () => {
  test(
    'a segment that is cut, unlinked or replaced costs its partition, and nobody reads zeros',
    async () => {
      const random = seededRandom(testSeed());
      const first = Math.floor(random() * cells.length);
      for (let round = 0; round < faultLength('live-files'); round += 1) {
        const cell = cells[(first + round * 5) % cells.length];
        if (cell === undefined) throw new Error('no cell');
        const kinds = Object.keys(damages);
        const kind = kinds[Math.floor(random() * kinds.length)] ?? 'cut';
        const which = random() < 0.6 ? 'active' : 'sealed';
        const quiet = random() < 0.5;
        const what = `${cell.persist}+${cell.serve}: ${which} ${kind}${quiet ? ', quiet' : ''}`;
        process.stdout.write(`live-files ${round}: ${what}\n`);
        await damageRound(cell, { kind, which, quiet, part: random() }, `r${round}`);
      }
    },
    faultTimeoutMs('live-files'),
  );
});

interface Damage {
  readonly kind: string;
  readonly which: 'active' | 'sealed';
  /** Nothing is under way at that moment, so that what comes of it is certain. */
  readonly quiet: boolean;
  /** Where it is cut, of its length. */
  readonly part: number;
}

async function damageRound(
  cell: (typeof cells)[number],
  { kind, which, quiet, part }: Damage,
  topic: string,
): Promise<void> {
  const running = await start(cell);
  const { client, producer } = running;
  const { topicId } = await newTopic(client, topic);
  const healthy = {
    appender: new Appender(producer(), { topic, partition: 1 }),
    follower: new Follower(client, { topic, partition: 1 }),
  };
  const appender = new Appender(producer(), { topic, partition: 0 });
  const follower = new Follower(client, { topic, partition: 0 });
  await appender.advance(VALUES_BEFORE);
  if (quiet) await appender.pause();
  // Its sends are under way while the file changes.
  const reader = new Follower(client, { topic, partition: 0 });
  await reader.reach(0);
  const files = segments(topicId, 0);
  // The newest sealed one may have a sync under way yet, and is as good as active until that is done.
  const settled = Math.max(1, files.length - 2);
  const path = which === 'active' ? files.at(-1) : files[Math.floor(part * settled)];
  damages[kind]?.(path ?? '', part);
  const damagedMs = performance.now();
  appender.resume();

  if (quiet && which === 'active' && kind !== FILLED) {
    await appender.ended;
    // What was handed over afterwards went into a file that no restart will find whole.
    expect(appender.lastSentMs).toBeLessThan(damagedMs);
  } else if (which === 'sealed') await appender.advance(VALUES_AFTER);
  expectOurs(appender.failure);

  const { acknowledged } = appender;
  const late = new Follower(client, { topic, partition: 0 }, { exitAtEnd: true });
  await late.ended;
  await expectOthersUnharmed(running, healthy);
  await appender.stop();
  for (const one of [follower, reader, late]) {
    expectOurs(one.failure);
    expect(one.anomalies).toEqual([]);
    expect(one.last).toBeLessThan(appender.acknowledged + MESSAGES_PER_BATCH);
  }
  // Whoever stopped before the end was told why.
  if (late.last < acknowledged - 1) expect(late.failure).toBeDefined();
  for (const one of [follower, reader, late, healthy.follower]) await one.close();
  await client.close();
  await running.broker.kill();
}

describe("files that go by the broker's own hand while they are sent", () => {
  test(
    'retention, deleted records, compaction and a deleted topic harm no reader',
    async () => {
      const random = seededRandom(testSeed());
      for (let round = 0; round < Math.ceil(faultLength('live-files') / 3); round += 1) {
        const cell = cells[Math.floor(random() * cells.length)];
        if (cell === undefined) throw new Error('no cell');
        process.stdout.write(`live-files ${round}: ${cell.persist}+${cell.serve}\n`);
        await ownHandRound(cell, round);
      }
    },
    faultTimeoutMs('live-files'),
  );
});

async function ownHandRound(cell: (typeof cells)[number], round: number): Promise<void> {
  const running = await start(cell);
  const { client, producer } = running;
  const configs = {
    healthy: {},
    trimmed: {},
    short: { 'retention.bytes': 2 * SEGMENT_BYTES },
    compacted: { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': 0.01 },
    doomed: {},
  };
  const names = Object.keys(configs).map((name) => `${name}${round}`);
  for (const [index, config] of Object.values(configs).entries()) {
    await newTopic(client, names[index] ?? '', config);
  }
  const keyOf = (number: number): string => `key ${number % 50}`;
  const [healthyOne, ...appenders] = names.map(
    (topic) => new Appender(producer(), { topic, partition: 0 }, keyOf),
  );
  const [healthy = '', trimmed = '', short = '', compacted = '', doomed = ''] = names;
  if (healthyOne === undefined) throw new Error('no appender');
  const healthyPair = {
    appender: healthyOne,
    follower: new Follower(client, { topic: healthy, partition: 0 }),
  };
  const readers: Follower[] = [];
  const read = (topic: string): Follower => {
    const reader = new Follower(
      client,
      { topic, partition: 0 },
      { exitAtEnd: true, mayMiss: true },
    );
    readers.push(reader);
    return reader;
  };
  await Promise.all(appenders.map((appender) => appender.advance(VALUES_BEFORE)));
  const lastDoomed = new Follower(client, { topic: doomed, partition: 0 });
  await lastDoomed.reach(0);
  await client.admin.deleteTopic(doomed);
  await until(() => lastDoomed.failure !== undefined);
  for (let pass = 0; pass < 3; pass += 1) {
    const passes = [read(trimmed), read(short), read(compacted)];
    const before = (appenders[0]?.acknowledged ?? 0) - VALUES_AFTER;
    await client.admin.deleteRecords([{ topic: trimmed, partition: 0, offset: before }]);
    await Promise.all(passes.map(({ ended }) => ended));
    await Promise.all(appenders.slice(0, 3).map((appender) => appender.advance(VALUES_AFTER)));
  }
  await expectOthersUnharmed(running, healthyPair);
  await Promise.all(appenders.map((appender) => appender.stop()));
  expect(appenders.map(({ failure }) => failure instanceof MillraceError)).toEqual([
    ...[false, false, false, true],
  ]);
  expect(readers.map(({ anomalies, failure }) => [anomalies, failure])).toEqual(
    readers.map(() => [[], undefined]),
  );
  expect(lastDoomed.anomalies).toEqual([]);
  for (const one of [...readers, lastDoomed, healthyPair.follower]) await one.close();
  await client.close();
  await running.broker.kill();
}
