import { join, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { offsetCommitApi, produceApi } from '@millrace/protocol';
import { logFileName } from '../../../broker/src/storage/segment-name.js';
import { BrokerProcess } from '../../support/broker-process.js';
import { batchPositions, flip, makeSample, segmentsIn } from '../inspect/sample-data.js';
import { batchOf, RawClient } from '../support/raw-client.js';
import { afterTest, temporaryDirectory } from '../support/temporary.js';
import { jsonLines, runTool } from './run-tool.js';

describe('millrace-broker verify', () => {
  test('prints a table and exits 0 where all is good', async () => {
    const path = temporaryDirectory();
    const { storage } = await makeSample(path);
    await storage.close();
    const { code, stdout, stderr } = await runTool('verify', path);
    expect([code, stderr]).toEqual([0, '']);
    const [header, row, sum] = stdout.trim().split('\n');
    expect(header?.split(/\s+/)).toEqual(
      'topic partitions segments bytes batches records'.split(' '),
    );
    expect(row).toMatch(/^t +1 +\d+ +\d+ +60 +240$/);
    expect(sum).toBe(`${path} (stopped in good order): no damage, 0 notes`);
  });

  test('prints a line for each problem, and exits 1', async () => {
    const path = temporaryDirectory();
    const { storage, log } = await makeSample(path);
    await storage.close();
    const [first = '', second = ''] = await segmentsIn(log);
    const position = batchPositions(second)[1] ?? 0;
    flip(first, 70);
    flip(second, position + 18);
    const { code, stdout } = await runTool('verify', path);
    expect(code).toBe(1);
    const within = (file: string): string => relative(path, file);
    const damage = stdout.split('\n').filter((line) => line.startsWith('damage: '));
    expect(damage).toEqual([
      expect.stringContaining(`damage: ${within(first)} at byte 0: the checksum does not fit`),
      expect.stringContaining(
        `damage: ${within(second)} at byte ${position}: the checksum does not fit`,
      ),
    ]);
    expect(stdout.trim()).toMatch(/2 damaged, 0 notes$/);
    const asJson = await runTool('verify', path, '--json');
    expect([asJson.code, asJson.stderr]).toEqual([1, '']);
    expect(jsonLines(asJson.stdout)).toMatchObject([
      {
        ...{ ok: false, damaged: 2, notes: 0, directory: path, cleanStop: true },
        topics: [{ topic: 't', records: 240 }],
        findings: [
          { severity: 'damage', kind: 'batch', path: first, position: 0 },
          { severity: 'damage', kind: 'batch', path: second, position },
        ],
      },
    ]);
  });

  test('exits 2 with one line where it cannot tell', async () => {
    const path = temporaryDirectory();
    const { storage } = await makeSample(path);
    await storage.close();
    const problems: [string[], string][] = [
      [[], "missing required argument 'dir'"],
      [[path, 'more'], 'too many arguments'],
      [[path, '--wrong'], "unknown option '--wrong'"],
      [[join(path, 'none')], 'cannot be read (ENOENT)'],
      [[join(path, 'topics')], 'is no data directory of millrace'],
      [[path, '--topic', 'none'], 'has no topic "none"'],
    ];
    for (const [args, message] of problems) {
      const { code, stderr } = await runTool('verify', ...args);
      expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
      expect(stderr).toMatch(/^millrace-broker: [^\n]+\n$/);
    }
  });

  test('refuses the directory of a running broker; of a killed one all is good', async () => {
    const path = temporaryDirectory();
    const broker = await BrokerProcess.start(path);
    afterTest(() => broker.kill());
    const client = await RawClient.open(broker.address);
    const topicId = await client.createTopic('t');
    for (let i = 0; i < 20; i += 1) {
      const batch = batchOf('a', 'b');
      const entries = [{ topicId, partition: 0, byteLength: batch.length }];
      const request = { acks: 1 as const, timeoutMs: 5_000, entries };
      await client.call(produceApi, request, batch);
    }
    const who = { groupId: 'g', memberId: '', generation: -1, groupInstanceId: null };
    const commit = { topicId, partition: 0, offset: 7, leaderEpoch: -1, metadata: null };
    await client.call(offsetCommitApi, { ...who, entries: [commit] });
    const { code, stderr } = await runTool('verify', path);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('stop that one first, or verify a'),
    ]);
    await client.close();
    await broker.kill();
    const killed = await runTool('verify', path, '--json');
    expect([killed.code, killed.stderr]).toEqual([0, '']);
    expect(jsonLines(killed.stdout)).toMatchObject([
      { topics: [{ topic: '__offsets' }, { topic: 't', records: 40 }], cleanStop: false },
    ]);
    const log = join(path, 'topics', topicId, '0', logFileName(0));
    const dumped = await runTool('dump', log);
    expect([dumped.code, dumped.stderr]).toEqual([0, '']);
    expect(dumped.stdout.match(/crc [0-9a-f]{8} ok\n/g)).toHaveLength(20);
    expect(dumped.stdout).toContain('bytes of zeros');
  });

  test('has help of its own, and is named by that of the broker', async () => {
    const { code, stdout } = await runTool('verify', '--help');
    expect([code, stdout]).toEqual([0, expect.stringContaining('Exit code: 0 all good')]);
    const broker = await runTool('--help');
    expect(broker.stdout).toContain('millrace-broker verify DIR');
    expect(broker.stdout).toContain('--data-dir');
  });
});
