import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import { pino } from 'pino';
import { startBroker } from '../../broker/src/broker.js';
import { makeTempDir } from '../support/temp-dir.js';
import { seededRandom, testSeed } from '../support/seed.js';
import {
  contentOf,
  copyOf,
  DataDirectories,
  filesOf,
  GROUP,
  harms,
  SETTINGS,
} from './damage/data-directory.js';
import type { Content, Harm } from './damage/data-directory.js';
import { faultLength, faultTimeoutMs } from './support/length.js';

/** From this length on every file is harmed in every way; below, some in one way each. */
const ALL_FROM_FLIPS = 2_000;
/** A harmed file takes as long as this many flips. */
const FLIPS_PER_FILE = 16;
const STOPS = ['clean', 'crashed'] as const;

interface Case {
  readonly stop: (typeof STOPS)[number];
  readonly kind: string;
  readonly file: string;
  readonly harm: Harm;
}

/** Any one file is lost or damaged: what was acknowledged is served, or said to be damaged. */
describe('a data directory with one file lost or damaged', () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  let directories: DataDirectories;

  beforeAll(async () => {
    directories = await DataDirectories.make();
  }, 120_000);

  afterAll(async () => {
    await directories.remove();
  });

  const casesOf = (): readonly Case[] => {
    const all = allCases();
    if (faultLength('damage') >= ALL_FROM_FLIPS) return all;
    const count = Math.ceil(faultLength('damage') / FLIPS_PER_FILE);
    return Array.from({ length: count }, () => all[Math.floor(random() * all.length)] as Case);
  };

  const allCases = (): readonly Case[] =>
    STOPS.flatMap((stop) =>
      filesOf(directories[stop]).flatMap(([kind, file]) => {
        const ways = Object.keys(harms) as Harm[];
        const one = ways[Math.floor(random() * ways.length)] as Harm;
        const chosen = faultLength('damage') >= ALL_FROM_FLIPS ? ways : [one];
        return chosen.map((harm) => ({ stop, kind, file, harm }));
      }),
    );

  test(
    'loses no topic and no partition, and hides nothing',
    async () => {
      const reported: string[] = [];
      const cases = casesOf();
      const beganMs = performance.now();
      for (const each of cases) {
        const { file, harm, kind, stop } = each;
        const what = `${kind} ${harm}, after a ${stop} stop, seed ${seed}`;
        const dir = await makeTempDir();
        copyOf(directories[stop], dir.path);
        harms[harm](join(dir.path, file));
        try {
          const outcome = await check(dir.path, topicOf(kind));
          if (outcome !== undefined) reported.push(`${stop}: ${kind} ${harm}: ${outcome}`);
        } catch (cause) {
          throw new Error(`${what}: ${String(cause)}`, { cause });
        }
        await dir.remove();
      }
      const each = Math.round((performance.now() - beganMs) / cases.length);
      process.stdout.write(
        `files harmed: ${cases.length} (${each} ms each), reported: ${reported.length}\n`,
      );
      process.stdout.write(reported.map((line) => `  ${line}\n`).join(''));
    },
    faultTimeoutMs('damage', 2_000),
  );

  /** Starts a broker on the directory; says what it reported, if anything. */
  const check = async (dataDir: string, harmed: string): Promise<string | undefined> => {
    const lines: { level: string; msg: string }[] = [];
    const logger = pino(
      { level: 'warn', formatters: { level: (level) => ({ level }) } },
      { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) },
    );
    const broker = await startBroker({ ...SETTINGS, dataDir, logger });
    const client = new Millrace({ brokers: [broker.address] });
    const outcomes: string[] = [];
    try {
      for (const [name, acknowledged] of directories.acknowledged.contents) {
        const outcome = await checkPartition(client, name, acknowledged);
        if (outcome === undefined) continue;
        expect([name, outcome]).toEqual([expect.stringMatching(`^${harmed}-`), outcome]);
        outcomes.push(outcome);
      }
      const groupOutcome = await checkGroup(client, lines.length > 0);
      if (groupOutcome !== undefined) {
        expect(harmed).toBe('__offsets');
        outcomes.push(groupOutcome);
      }
      // What the broker noticed its log tells too; what only the client can notice it has told.
      const noticed = outcomes.filter((outcome) => outcome !== 'reads: CORRUPT_MESSAGE');
      if (noticed.length > 0) expect([noticed, lines.length]).not.toEqual([noticed, 0]);
    } finally {
      await client.close();
      await broker.close();
    }
    return outcomes.length === 0 ? undefined : outcomes.join(', ');
  };

  /** Undefined when all is there and goes on behind it; else why not. */
  const checkPartition = async (
    client: Millrace,
    name: string,
    acknowledged: Content,
  ): Promise<string | undefined> => {
    const [topic = '', partition = ''] = name.split('-');
    const { content, error } = await contentOf(client, topic, Number(partition));
    for (const [offset, value] of content) {
      // Compaction goes on, and what was produced twice is the same.
      if (acknowledged.get(offset) !== value) throw new Error(`${name}: offset ${offset} is wrong`);
    }
    const last = Math.max(...acknowledged.keys());
    const missing = [...acknowledged.keys()].filter((offset) => !content.has(offset));
    const isCompacted = topic === 'compacted';
    const gone = isCompacted ? missing.filter((offset) => offset === last) : missing;
    if (error === undefined && gone.length > 0) {
      throw new Error(`${name}: ${gone.length} messages are gone, and nobody said so`);
    }
    const producer = client.producer({ deliveryTimeoutMs: 5_000 });
    try {
      const sent = await producer.send(topic, {
        key: 'new',
        value: 'new',
        partition: Number(partition),
      });
      if (sent.offset <= last) throw new Error(`${name}: offset ${sent.offset} was used again`);
      return error === undefined ? undefined : `reads: ${codeOf(error)}`;
    } catch (refused) {
      if (!(refused instanceof Error) || !('code' in refused)) throw refused;
      const { cause } = refused;
      return `refuses appends: ${codeOf(cause ?? refused)}`;
    } finally {
      await producer.close().catch(() => undefined);
    }
  };

  /** @param said the broker's log has warnings */
  const checkGroup = async (client: Millrace, said: boolean): Promise<string | undefined> => {
    const { committed } = directories.acknowledged;
    try {
      const offsets = await client.admin.groupOffsets(GROUP);
      const found = offsets.find(({ partition, topic }) => topic === 'plain' && partition === 0);
      const is = found?.committedOffset ?? -1;
      if (is === committed) return undefined;
      if (!said) throw new Error(`offset ${is} is committed instead of ${committed}`);
      return `offset ${is} instead of ${committed}, with a warning`;
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error;
      return codeOf(error);
    }
  };
});

function topicOf(kind: string): string {
  return kind.split(' ')[0] ?? '';
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error
    ? String(error.code)
    : String(error);
}
