import { copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ByteChunks, RecordBatchBuilder } from '@millrace/protocol';
import {
  encodeCommitKey,
  encodeCommitValue,
  encodeGroupKey,
  encodeGroupValue,
} from '../../../broker/src/groups/offsets-codec.js';
import { writeJsonFile } from '../../../broker/src/storage/json-file.js';
import { T0 } from '../../support/batches.js';
import { createTopic, logDirectory, openTestStorage } from '../../support/storage.js';
import { batchPositions, CODECS, flip, makeSample, segmentsIn } from '../inspect/sample-data.js';
import { afterTest, temporaryDirectory } from '../support/temporary.js';
import { jsonLines, runTool } from './run-tool.js';

async function closedSample(): Promise<{ path: string; log: string; segments: string[] }> {
  const path = temporaryDirectory();
  const { storage, log } = await makeSample(path);
  await storage.close();
  return { path, log, segments: await segmentsIn(log) };
}

describe('millrace-broker dump of a segment', () => {
  test('prints a line for each batch', async () => {
    const { segments } = await closedSample();
    const [first = ''] = segments;
    const { code, stdout, stderr } = await runTool('dump', first);
    expect([code, stderr]).toEqual([0, '']);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(batchPositions(first).length);
    expect(lines[0]).toMatch(
      /^position 0: offsets 0-3, 4 records, none, 2023-11-14T22:13:20.000Z to \S+ \(CreateTime\), producer 7 epoch 0 sequence 0, epoch 0, \d+ bytes, crc [0-9a-f]{8} ok$/,
    );
  });

  test('as JSON tells the same, of all codecs, with records', async () => {
    const { segments } = await closedSample();
    const rows = jsonLines((await runTool('dump', '--json', '--records', ...segments)).stdout);
    const batches = rows.filter(({ type }) => type === 'batch');
    expect(batches).toHaveLength(60);
    expect(new Set(batches.map(({ codec }) => codec))).toEqual(new Set(CODECS));
    expect(batches[1]).toMatchObject({
      ...{ baseOffset: 4, lastOffset: 7, recordCount: 4, codec: 'gzip', crcOk: true },
      ...{ producerId: 7, baseSequence: 4, leaderEpoch: 0, baseTimestampMs: T0 + 1_000 },
    });
    const records = rows.filter(({ type }) => type === 'record');
    expect(records.map(({ offset }) => offset)).toEqual(Array.from({ length: 240 }, (_, i) => i));
    expect(records[5]).toMatchObject({
      ...{ key: { text: 'key-1-1' }, timestampMs: T0 + 1_001, headers: [] },
      value: { text: expect.stringMatching(/^value 1\.1 x+$/) },
    });
  });

  test('shows keys and values as quoted text cut short, or as base64', async () => {
    const path = temporaryDirectory();
    const storage = await openTestStorage(path);
    const partition = await createTopic(storage);
    const builder = new RecordBatchBuilder({});
    builder.append('line\nbreak', 'ü'.repeat(500), [['h', 'x']], T0);
    builder.append(null, Buffer.from([0xff, 0xfe]), null, T0);
    builder.append('gone', null, null, T0);
    await partition.append(new ByteChunks([builder.build({})]), -1);
    await storage.close();
    const [file = ''] = await segmentsIn(logDirectory(path, partition));
    const { stdout } = await runTool('dump', '--records', file);
    const time = '2023-11-14T22:13:20.000Z';
    expect(stdout.split('\n').slice(1, 4)).toEqual([
      `  offset 0: ${time}, key "line\\nbreak", value "${'ü'.repeat(80)}"… (1000 bytes), 1 headers`,
      `  offset 1: ${time}, key null, value base64://4=`,
      `  offset 2: ${time}, key "gone", value null`,
    ]);
  });

  test('begins at an offset and ends after a number of batches', async () => {
    const { segments } = await closedSample();
    const [first = ''] = segments;
    const args = ['dump', '--json', '--from', '9', '--max-batches', '2'];
    const rows = jsonLines((await runTool(...args, first)).stdout);
    expect(rows).toMatchObject([{ baseOffset: 8 }, { baseOffset: 12 }]);
  });

  test('prints up to damage, says where and why, and exits 1', async () => {
    const { segments } = await closedSample();
    const [first = '', second = '', third = ''] = segments;
    const [, , position = 0] = batchPositions(first);
    flip(first, position + 80);
    const checksum = await runTool('dump', first);
    expect(checksum.code).toBe(1);
    const lines = checksum.stdout.trim().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines.map((line) => line.endsWith('ok'))).toEqual([true, true, false]);
    expect(checksum.stderr).toContain(
      `millrace-broker: ${first} is damaged at byte ${position}: the checksum does not fit`,
    );

    const { size } = statSync(second);
    truncateSync(second, size - 1);
    const last = batchPositions(third).at(-1) ?? 0;
    flip(third, last + 16);
    const more = await runTool('dump', second, third);
    expect(more.code).toBe(1);
    expect(more.stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/is damaged at byte \d+: the file ends within a batch of \d+ bytes/),
      expect.stringContaining(`is damaged at byte ${last}: there is no batch: magic`),
    ]);
    expect(more.stdout).toContain(`== ${second}`);
  });

  test('of a running broker tells of room ahead of the end, and that it may move', async () => {
    const path = temporaryDirectory();
    const { storage, partition, log } = await makeSample(path);
    afterTest(() => storage.close());
    const files = await segmentsIn(log);
    const last = files.at(-1) ?? '';
    const { code, stdout, stderr } = await runTool('dump', last);
    expect([code, stderr]).toEqual([0, expect.stringContaining('its end may move')]);
    // Once, and not of what is sealed.
    const all = await runTool('dump', ...files, last);
    expect(all.stderr.trim()).toMatch(/^millrace-broker: \S+ is in use by a broker: [^\n]*$/);
    expect(all.stderr).toContain(`${last} is in use`);
    const end = partition.log?.lastSegment?.sizeBytes ?? 0;
    expect(stdout.trim().split('\n').at(-1)).toBe(
      `position ${end}: ${statSync(last).size - end} bytes of zeros to the end of the file: ` +
        'room allocated ahead of the data, as an active segment has it',
    );
  });

  test('of __offsets tells of commits and groups', async () => {
    const path = temporaryDirectory();
    const storage = await openTestStorage(path);
    const partition = await createTopic(storage);
    const builder = new RecordBatchBuilder({ compression: 'lz4' });
    const topicId = 'ab'.repeat(16);
    const key = encodeCommitKey('billing', topicId, 3);
    const commit = { offset: 42, leaderEpoch: 1, commitTimeMs: T0, metadata: 'm' };
    builder.append(key, encodeCommitValue(commit), null, T0);
    builder.append(key, null, null, T0);
    const group = {
      ...{ groupId: 'billing', protocolType: 'consumer', protocolName: 'range', generation: 5 },
      ...{ leaderId: 'one', stateTimeMs: T0 },
      members: [
        {
          ...{ memberId: 'one', groupInstanceId: null, clientId: 'c', clientHost: '::1' },
          ...{ sessionTimeoutMs: 1, rebalanceTimeoutMs: 2, protocols: [] },
          assignment: Buffer.from('a'),
        },
      ],
    };
    builder.append(encodeGroupKey('billing'), encodeGroupValue(group), null, T0);
    builder.append('by hand', 'x', null, T0);
    await partition.append(new ByteChunks([builder.build({})]), -1);
    await storage.close();
    const [file = ''] = await segmentsIn(logDirectory(path, partition));
    const { code, stdout } = await runTool('dump', '--offsets', file);
    expect(code).toBe(0);
    const where = `commit of group "billing", topic ${topicId}, partition 3`;
    expect(stdout.trim().split('\n').slice(1)).toEqual([
      `  offset 0: ${where}: offset 42, epoch 1, at 2023-11-14T22:13:20.000Z, metadata "m"`,
      `  offset 1: ${where}: removed`,
      '  offset 2: group "billing": generation 5, consumer/range, leader one, since ' +
        '2023-11-14T22:13:20.000Z, 1 members one (::1)',
      expect.stringMatching(/^ {2}offset 3: unreadable: its key/),
    ]);
    const rows = jsonLines((await runTool('dump', '--offsets', '--json', file)).stdout);
    expect(rows.slice(1)).toMatchObject([
      { type: 'commit', groupId: 'billing', partition: 3, committed: commit },
      { type: 'commit', committed: null },
      { type: 'group', group: { generation: 5, members: [{ assignment: 'YQ==' }] } },
      { type: 'unreadable', offset: 3 },
    ]);
  });
});

describe('millrace-broker dump of the other files', () => {
  test('prints an index, and where it is damaged', async () => {
    const { segments } = await closedSample();
    const index = segments[1]?.replace('.log', '.index') ?? '';
    const rows = jsonLines((await runTool('dump', '--json', index)).stdout);
    const base = Number(/(\d{20})\.index$/.exec(index)?.[1]);
    expect(rows[0]).toEqual({ type: 'entry', offset: base, position: 0, maxTimestampMs: -1 });
    expect(rows.length).toBeGreaterThan(1);
    flip(index, 25);
    const { code, stdout, stderr } = await runTool('dump', index);
    expect([code, stdout]).toEqual([1, `entry offset=${base} position=0 maxTimestampMs=-1\n`]);
    expect(stderr).toContain('damaged at byte 20: the checksum of the entry does not fit');
  });

  test('prints both slots of a checkpoint', async () => {
    const { log } = await closedSample();
    const checkpoint = join(log, 'checkpoint');
    const rows = jsonLines((await runTool('dump', '--json', checkpoint)).stdout);
    expect(rows).toMatchObject([
      { slot: 0, at: 0, state: 'valid' },
      { slot: 1, at: 512, state: 'valid' },
    ]);
    const newest = rows.find((row) => row['newest'] === true);
    expect(newest).toMatchObject({ endOffset: 240, startOffset: 0, tailDistrusted: false });
    flip(checkpoint, 520);
    const { code, stdout, stderr } = await runTool('dump', checkpoint);
    expect([code, stderr]).toEqual([1, expect.stringContaining('damaged at byte 512: slot 1')]);
    expect(stdout).toContain('slot slot=1 at=512 state="damaged"');
  });

  test('prints the metadata in JSON', async () => {
    const { path, log } = await closedSample();
    const pass = { to: 8, endedAtMs: 9 };
    await writeJsonFile(join(log, 'compaction.json'), {
      ...{ cleanedTo: 4, dirtyFrom: 4, passes: [pass], firstTombstone: -1 },
    });
    const epoch = { epoch: 1, startOffset: 9, previousEndOffset: 5 };
    await writeJsonFile(join(log, 'epochs.json'), [epoch]);
    await writeJsonFile(join(path, 'producer-ids.json'), 1_000);
    const files = [
      ...['compaction.json', 'epochs.json', 'producers.json', '../topic.json'].map((name) =>
        join(log, name),
      ),
      ...[join(path, 'meta.json'), join(path, 'producer-ids.json')],
    ];
    const { code, stdout } = await runTool('dump', '--json', ...files);
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toMatchObject([
      { type: 'compaction', cleanedTo: 4, passes: [pass] },
      { type: 'epoch', ...epoch },
      { type: 'snapshot', offset: 240, producers: 1 },
      { type: 'producer', producerId: 7, epoch: 0, batches: { length: 5 } },
      { type: 'topic', name: 't', partitions: 1, config: { 'segment.bytes': '4096' } },
      { type: 'meta', formatVersion: 1, nodeId: 0 },
      { type: 'producer-ids', next: 1_000 },
    ]);
    for (const file of files) writeFileSync(file, 'garbage');
    const broken = await runTool('dump', ...files);
    expect([broken.code, broken.stderr.trim().split('\n').length]).toEqual([1, files.length]);
  });

  test('exits 2 for what it does not know, before it prints anything', async () => {
    const { path, segments } = await closedSample();
    const [first = ''] = segments;
    const other = join(path, 'clean');
    const copy = join(path, 'copy.txt');
    copyFileSync(first, copy);
    const problems: [string[], string][] = [
      [[], "missing required argument 'file'"],
      [[first, other], 'is no file that can be dumped; those are *.log, *.index, checkpoint'],
      [[copy], 'is no file that can be dumped'],
      [[join(path, 'x.log')], 'cannot be read: ENOENT'],
      [['--from', '-1', first], '--from takes an integer from 0 on, not "-1"'],
      [['--max-batches', '0', first], '--max-batches takes an integer from 1 on'],
    ];
    for (const [args, message] of problems) {
      const { code, stdout, stderr } = await runTool('dump', ...args);
      expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(message)]);
    }
    expect(readFileSync(copy)).toEqual(readFileSync(first));
  });
});
