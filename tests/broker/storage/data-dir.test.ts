import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DataDir, FORMAT_VERSION } from '../../../broker/src/storage/data-dir.js';
import { writeJsonFile } from '../../../broker/src/storage/json-file.js';
import { openStorage } from '../../../broker/src/storage/open.js';
import type { Storage } from '../../../broker/src/storage/open.js';
import { defaultStorageConfig } from '../../../broker/src/storage/storage-config.js';
import { chunksOf, makeBatch, readAll } from '../../support/batches.js';
import { recordSyncs } from '../../support/recorded-syncs.js';
import { nativeOrThrow, silentLogger } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const native = nativeOrThrow();
let dir: Awaited<ReturnType<typeof makeTempDir>>;
beforeEach(async () => {
  dir = await makeTempDir();
});
afterEach(async () => {
  await dir.remove();
});

const problem = (name: string): object =>
  expect.objectContaining({ name: 'DataDirError', problem: name });

/** A process that runs until it is told to end; its pid is that of somebody else. */
async function bystander(code: string): Promise<{ pid: number; end(): Promise<void> }> {
  const child = spawn(process.execPath, ['-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    pid: child.pid ?? -1,
    end: async () => {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}
const untilStdinEnds = "process.stdin.resume(); console.log('up');";

describe.each([
  ['flock', native],
  ['pid file', undefined],
])('a data directory locked by %s', (_, module) => {
  test('is made where there is none, and keeps its identity', async () => {
    const path = join(dir.path, 'deep', 'down');
    const first = await DataDir.open(path, module);
    expect(first.cleanStop).toBe(false);
    expect(first.nodeId).toBe(0);
    await first.close();
    const second = await DataDir.open(path, module);
    expect(second.clusterId).toBe(first.clusterId);
    await second.close();
  });

  test('is refused to a second one in this process, and free after close', async () => {
    const first = await DataDir.open(dir.path, module);
    await expect(DataDir.open(dir.path, module)).rejects.toEqual(problem('locked'));
    await expect(
      DataDir.open(`${dir.path}/../${dir.path.split('/').pop()}`, module),
    ).rejects.toEqual(problem('locked'));
    // A refused one must not take the lock of the first away.
    await expect(DataDir.open(dir.path, module)).rejects.toEqual(problem('locked'));
    await first.close();
    await (await DataDir.open(dir.path, module)).close();
  });

  test('is refused to one that locks the other way', async () => {
    const other = module === undefined ? native : undefined;
    const first = await DataDir.open(dir.path, module);
    await expect(DataDir.open(dir.path, other)).rejects.toEqual(problem('locked'));
    await first.close();
    await (await DataDir.open(dir.path, other)).close();
  });

  test('tells a clean stop once', async () => {
    const first = await DataDir.open(dir.path, module);
    await first.markClean();
    await first.close();
    const second = await DataDir.open(dir.path, module);
    expect(second.cleanStop).toBe(true);
    await second.close();
    const third = await DataDir.open(dir.path, module);
    expect(third.cleanStop).toBe(false);
    await third.close();
  });

  test('of a newer format, or damaged, is refused, and unlocked again', async () => {
    await (await DataDir.open(dir.path, module)).close();
    const meta = join(dir.path, 'meta.json');
    const good = await readFile(meta);
    await writeJsonFile(meta, { formatVersion: FORMAT_VERSION + 1, something: 'new' });
    await expect(DataDir.open(dir.path, module)).rejects.toEqual(problem('newer-format'));
    await writeFile(meta, good.subarray(0, 20));
    await rename(`${meta}.copy`, `${meta}.gone`);
    await expect(DataDir.open(dir.path, module)).rejects.toEqual(problem('damaged'));
    await writeJsonFile(meta, { formatVersion: FORMAT_VERSION });
    await expect(DataDir.open(dir.path, module)).rejects.toEqual(problem('damaged'));
    await writeFile(meta, good);
    await (await DataDir.open(dir.path, module)).close();
  });

  test('that holds other things is refused, and nothing is put there', async () => {
    await writeFile(join(dir.path, 'thesis.tex'), 'mine');
    await expect(DataDir.open(dir.path, module)).rejects.toEqual(problem('not-a-data-directory'));
    expect(await readdir(dir.path)).toEqual(['thesis.tex']);
  });

  test.each(['meta.json', 'meta.json.copy'])('whose %s was lost has it again', async (name) => {
    const { clusterId } = await reopened();
    for (const harm of [rm, (path: string) => writeFile(path, 'garbage')]) {
      await harm(join(dir.path, name));
      expect((await reopened()).clusterId).toBe(clusterId);
      expect(await readFile(join(dir.path, name))).toEqual(
        await readFile(join(dir.path, name === 'meta.json' ? 'meta.json.copy' : 'meta.json')),
      );
    }
  });

  const reopened = async (): Promise<DataDir> => {
    const dataDir = await DataDir.open(dir.path, module);
    await dataDir.close();
    return dataDir;
  };

  test('with topics whose meta.json was lost is not taken for a new one', async () => {
    await (await DataDir.open(dir.path, module)).close();
    await mkdir(join(dir.path, 'topics', 'a'.repeat(32)));
    await rm(join(dir.path, 'meta.json'));
    await rm(join(dir.path, 'meta.json.copy'));
    await expect(DataDir.open(dir.path, module)).rejects.toThrow(/holds topics/);
  });

  test('has its topics before its meta.json, and is durable with the directories around it', async () => {
    const path = join(dir.path, 'deep', 'down');
    await mkdir(join(path, 'meta.json.tmp'), { recursive: true });
    await expect(DataDir.open(path, module)).rejects.toMatchObject({ code: 'EISDIR' });
    expect(await readdir(path)).toContain('topics');
    await rm(path, { recursive: true });
    await rm(join(dir.path, 'deep'), { recursive: true });
    const syncs = await recordSyncs(async () => (await DataDir.open(path, module)).close());
    const paths = syncs.map((sync) => sync.path);
    expect(paths.slice(0, 4)).toEqual([path, join(dir.path, 'deep'), dir.path, tmpdir()]);
    expect(paths.at(-1)).toBe(path);
    // All topics at once do not go without a word.
    await rm(join(path, 'topics'), { recursive: true });
    await expect(DataDir.open(path, module)).rejects.toEqual(problem('damaged'));
  });

  test('is given to one of many that ask at once', async () => {
    await (await DataDir.open(dir.path, module)).close();
    const asked = Array.from({ length: 20 }, () => DataDir.open(dir.path, module));
    const answers = await Promise.allSettled(asked);
    const opened = answers.filter((answer) => answer.status === 'fulfilled');
    expect(opened).toHaveLength(1);
    for (const { value } of opened) await value.close();
    expect(await readdir(dir.path)).not.toContainEqual(expect.stringMatching(/\.tmp$/));
  });

  test('that cannot be made or written is refused', async () => {
    await writeFile(join(dir.path, 'file'), '');
    const below = join(dir.path, 'file', 'data');
    await expect(DataDir.open(below, module)).rejects.toEqual(problem('not-writable'));
    await expect(DataDir.open(join(dir.path, 'file'), module)).rejects.toEqual(
      problem('not-writable'),
    );
  });
});

describe('a lock of another process', () => {
  test('by flock is seen, and gone with the process', async () => {
    await (await DataDir.open(dir.path, native)).close();
    const lockPath = JSON.stringify(join(dir.path, 'lock'));
    const addon = JSON.stringify(
      new URL('../../../native/build/Release/millrace_native.node', import.meta.url).pathname,
    );
    const other = await bystander(
      `const f = require(${addon}).openFile(${lockPath}, 'readwrite'); f.lock(); ${untilStdinEnds}`,
    );
    await expect(DataDir.open(dir.path, native)).rejects.toEqual(problem('locked'));
    await other.end();
    await (await DataDir.open(dir.path, native)).close();
  });

  test('by pid is seen, and stale when the process is gone', async () => {
    await (await DataDir.open(dir.path, undefined)).close();
    const other = await bystander(untilStdinEnds);
    await writeFile(join(dir.path, 'lock'), `${other.pid} pid\n`);
    await expect(DataDir.open(dir.path, undefined)).rejects.toEqual(problem('locked'));
    await expect(DataDir.open(dir.path, native)).rejects.toEqual(problem('locked'));
    await other.end();
    await (await DataDir.open(dir.path, undefined)).close();
  });

  test('by pid names its owner from the moment that it is there', async () => {
    // Another process looks as often as it can, and says in the end what it saw.
    const watch = `const { readFileSync } = require('node:fs'); const seen = new Set();
      let watching = true;
      process.stdin.on('end', () => (watching = false)).resume();
      const look = () => {
        for (let i = 0; i < 100; i += 1) {
          try { seen.add(readFileSync(process.argv[1], 'utf8')); } catch { seen.add('none'); }
        }
        if (watching) setImmediate(look); else console.log(JSON.stringify([...seen].sort()));
      };
      console.log('up');
      look();`;
    const child = spawn(process.execPath, ['-e', watch, join(dir.path, 'lock')]);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await lines.next();
    for (let i = 0; i < 200; i += 1) await (await DataDir.open(dir.path, undefined)).close();
    child.stdin.end();
    const { value } = (await lines.next()) as { value: string };
    expect(JSON.parse(value)).toEqual([`${process.pid} pid\n`, 'none']);
    await once(child, 'exit');
  });

  test.each(['', 'x', '0', '-1', `${process.pid} pid\n`])(
    'left as %j is stale',
    async (content) => {
      // In a container a restarted broker has the pid of the one that was killed.
      await (await DataDir.open(dir.path, undefined)).close();
      await writeFile(join(dir.path, 'lock'), content);
      await (await DataDir.open(dir.path, undefined)).close();
    },
  );
});

describe('a storage', () => {
  const open = (): Promise<Storage> =>
    openStorage({
      ...{ dataDir: dir.path, persist: 'mmap', native, logger: silentLogger },
      config: { ...defaultStorageConfig, segmentBytes: 1 << 20 },
    });

  test('keeps topics, records and its identity over a restart, and counts them', async () => {
    let storage = await open();
    const { clusterId } = storage;
    const topic = await storage.topics.create({ name: 't', partitions: 3, config: {} });
    await topic.partitions[1]?.append(chunksOf(makeBatch({ records: 5 })), -1);
    const ids = [await storage.nextProducerId(), await storage.nextProducerId()];
    expect(storage.stats()).toMatchObject({ topics: 1, partitions: 3, segments: 1 });
    await Promise.all([storage.close(), storage.close()]);
    storage = await open();
    expect(storage.clusterId).toBe(clusterId);
    expect(ids.every((id) => storage.isIssuedProducerId(id))).toBe(true);
    const next = await storage.nextProducerId();
    expect(ids).not.toContain(next);
    expect([next, next + 1].map((id) => storage.isIssuedProducerId(id))).toEqual([true, false]);
    const again = storage.topics.byName('t')?.partitions[1];
    expect(again?.endOffset).toBe(5);
    expect(again && (await readAll(again))).toHaveLength(5);
    expect(storage.stats().offlinePartitions).toBe(0);
    await storage.close();
  });

  test('takes nothing more once it is closing', async () => {
    const storage = await open();
    const topic = await storage.topics.create({ name: 't', partitions: 1, config: {} });
    const [partition] = topic.partitions;
    const before = partition?.append(chunksOf(makeBatch()), -1);
    const closing = storage.close();
    const stopping = { errorName: 'SHUTTING_DOWN', retriable: true };
    await expect(partition?.append(chunksOf(makeBatch()), 1)).rejects.toMatchObject(stopping);
    await expect(
      storage.topics.create({ name: 'u', partitions: 1, config: {} }),
    ).rejects.toMatchObject(stopping);
    await Promise.allSettled([before, closing]);
    await expect(partition?.append(chunksOf(makeBatch()), 1)).rejects.toMatchObject(stopping);
    await expect(partition?.read(0, 10, true)).rejects.toMatchObject(stopping);
    await (await open()).close();
  });

  test('with a partition that could not be opened leaves no clean-stop marker', async () => {
    let storage = await open();
    const { id } = await storage.topics.create({ name: 't', partitions: 1, config: {} });
    await storage.topics.byName('t')?.partitions[0]?.append(chunksOf(makeBatch()), -1);
    await storage.close();
    expect(await readdir(dir.path)).toContain('clean');
    const checkpoint = join(dir.path, 'topics', id, '0', 'checkpoint');
    const good = await readFile(checkpoint);
    await writeFile(checkpoint, 'damaged');
    storage = await open();
    expect(storage.stats().offlinePartitions).toBe(1);
    await storage.close();
    expect(await readdir(dir.path)).not.toContain('clean');
    await writeFile(checkpoint, good);
    storage = await open();
    expect(storage.stats().offlinePartitions).toBe(0);
    await storage.close();
  });

  test('leaves no descriptors behind', async () => {
    const count = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const before = await count();
    for (let i = 0; i < 3; i += 1) {
      const storage = await open();
      if (i === 0) await storage.topics.create({ name: 't', partitions: 5, config: {} });
      for (const partition of storage.topics.byName('t')?.partitions ?? []) {
        await partition.append(chunksOf(makeBatch()), -1);
        await readAll(partition);
      }
      await storage.close();
    }
    expect(await count()).toBeLessThanOrEqual(before + 1);
  });
});
