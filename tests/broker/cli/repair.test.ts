import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { BrokerProcess } from '../../support/broker-process.js';
import { batchPositions, flip, makeSample, segmentsIn } from '../inspect/sample-data.js';
import { afterTest, temporaryDirectory } from '../support/temporary.js';
import { runTool } from './run-tool.js';

/** A data directory whose second segment is damaged in its second batch. */
async function damaged(): Promise<{
  readonly path: string;
  readonly second: string;
  readonly position: number;
  readonly third: string;
}> {
  const path = temporaryDirectory();
  const { storage, log } = await makeSample(path);
  await storage.close();
  const [, second = '', third = ''] = await segmentsIn(log);
  const position = batchPositions(second)[1] ?? 0;
  flip(second, position + 70);
  return { path, second, position, third };
}

describe('millrace-broker verify --repair', () => {
  test('says what it would cut and where that is kept, and changes nothing', async () => {
    const { path, position, second, third } = await damaged();
    const before = readFileSync(second);
    const { code, stdout } = await runTool('verify', path, '--repair');
    expect(code).toBe(1);
    const name = basename(second);
    expect(stdout).toMatch(new RegExp(`^damage: .*${name} at byte ${position}: the checksum`, 'm'));
    expect(stdout).toMatch(
      new RegExp(`^would: t-0: ends at offset \\d+: .*${name} is cut at byte ${position}`, 'm'),
    );
    expect(stdout).toMatch(/^would: t-0: takes out \d+ records that can still be read, \d+ bytes/m);
    expect(stdout).toContain(`${name}.${position}.cut`);
    expect(stdout).toContain(`${basename(third)}.cut`);
    expect(stdout).toMatch(/^would: t-0: readers lose the offsets \d+ to 239$/m);
    expect(stdout).toMatch(/Nothing was changed; --yes does it\n$/);
    expect(readFileSync(second)).toEqual(before);
  });

  test('does it with --yes, once, and what was cut can be removed', async () => {
    const { path, position, second, third } = await damaged();
    const whole = readFileSync(second);
    const done = await runTool('verify', path, '--repair', '--yes');
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(done.stdout).toMatch(/^done: t-0: ends at offset/m);
    expect(readFileSync(second)).toEqual(whole.subarray(0, position));
    const kept = readFileSync(`${second}.${position}.cut`);
    expect(whole.subarray(position, position + kept.length)).toEqual(kept);
    expect([existsSync(third), existsSync(`${third}.cut`)]).toEqual([false, true]);
    const again = await runTool('verify', path, '--repair', '--yes');
    expect([again.code, again.stdout]).toEqual([0, 'no damage: nothing to repair\n']);

    const listed = await runTool('verify', path, '--discard-cut');
    expect([listed.code, listed.stdout]).toEqual([0, expect.stringContaining('--yes removes')]);
    expect(existsSync(`${third}.cut`)).toBe(true);
    const removed = await runTool('verify', path, '--discard-cut', '--yes');
    expect([removed.code, removed.stdout]).toEqual([
      0,
      expect.stringMatching(/^removed \d+ files/m),
    ]);
    expect(existsSync(`${third}.cut`)).toBe(false);
    expect((await runTool('verify', path)).code).toBe(0);
  });

  test('refuses while a broker runs on the directory, and flags that say nothing', async () => {
    const path = join(temporaryDirectory(), 'data');
    const broker = await BrokerProcess.start(path);
    afterTest(() => broker.kill());
    for (const flags of [['--repair'], ['--repair', '--yes'], ['--discard-cut', '--yes']]) {
      const { code, stderr } = await runTool('verify', path, ...flags);
      expect([flags, code, stderr]).toEqual([flags, 2, expect.stringContaining('stop that one')]);
    }
    for (const flags of [['--yes'], ['--repair', '--discard-cut']]) {
      const { code, stderr } = await runTool('verify', path, ...flags);
      expect([code, stderr]).toEqual([
        2,
        expect.stringContaining('give --repair or --discard-cut'),
      ]);
    }
  });
});
