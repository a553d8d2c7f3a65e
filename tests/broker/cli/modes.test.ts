import { describe, expect, test } from '@jest/globals';
import type { DirectoryProbe, Native } from '@millrace/native';
import { chooseStrategies, modeNames, modes } from '../../../broker/src/modes.js';
import type { Abilities, StrategyWishes } from '../../../broker/src/modes.js';
import { ConfigError } from '../../../broker/src/startup-errors.js';

const nothing: StrategyWishes = { mode: undefined, persist: undefined, serve: undefined };
const module = {} as Native;

function abilities(probe: Partial<DirectoryProbe> = {}): Abilities {
  const all = { fallocate: true, mmap: true, sendfile: true, residency: 'nowait', detail: 'EXDEV' };
  return {
    native: { module, probe: { ...all, ...probe } as DirectoryProbe },
    problem: undefined,
    dataDir: '/d',
  };
}

const withoutNative: Abilities = {
  native: undefined,
  problem: 'The native module is not built; run `npm rebuild @millrace/native`.',
  dataDir: '/d',
};

describe('a machine that can do everything', () => {
  test('millrace is the default mode', () => {
    expect(chooseStrategies(nothing, abilities())).toEqual({
      ...{ mode: 'millrace', persist: 'adaptive', serve: 'sendfile', native: module },
      warning: undefined,
    });
  });

  test.each([...modeNames])('%s gives its pair', (mode) => {
    expect(chooseStrategies({ ...nothing, mode }, abilities())).toMatchObject(modes[mode]);
  });

  test('persist and serve override the mode', () => {
    const wishes: StrategyWishes = { mode: 'rocketmq', persist: 'write', serve: 'copy' };
    const choice = chooseStrategies(wishes, abilities());
    expect(choice).toMatchObject({ mode: 'rocketmq', persist: 'write', serve: 'copy' });
  });
});

describe('without the native module', () => {
  test('defaults give way, in one line that says why and how to get it', () => {
    const choice = chooseStrategies(nothing, withoutNative);
    expect(choice).toMatchObject({ mode: 'classic', persist: 'write', serve: 'copy' });
    expect(choice.native).toBeUndefined();
    expect(choice.warning).toContain('npm rebuild @millrace/native');
    expect(choice.warning).not.toContain('\n');
  });

  test('classic runs without a warning', () => {
    const choice = chooseStrategies({ ...nothing, mode: 'classic' }, withoutNative);
    expect(choice).toMatchObject({ persist: 'write', serve: 'copy', warning: undefined });
  });

  test.each<Partial<StrategyWishes>>([
    { mode: 'millrace' },
    { mode: 'kafka' },
    { mode: 'rocketmq' },
    { persist: 'adaptive' },
    { persist: 'mmap' },
    { serve: 'sendfile' },
    { serve: 'mmap' },
    { mode: 'classic', serve: 'mmap' },
  ])('%p is an error that says how to get it', (wishes) => {
    const choose = (): unknown => chooseStrategies({ ...nothing, ...wishes }, withoutNative);
    expect(choose).toThrow(ConfigError);
    expect(choose).toThrow('npm rebuild @millrace/native');
  });
});

describe('a filesystem that cannot', () => {
  test('without fallocate nothing native is used', () => {
    const choice = chooseStrategies(nothing, abilities({ fallocate: false }));
    expect(choice).toMatchObject({ persist: 'write', serve: 'copy', native: undefined });
    expect(choice.warning).toContain('the filesystem of /d cannot allocate space ahead (EXDEV)');
  });

  test('without mmap appends go by write, sends stay', () => {
    const choice = chooseStrategies(nothing, abilities({ mmap: false }));
    expect(choice).toMatchObject({ mode: 'kafka', persist: 'write', serve: 'sendfile' });
    expect(choice.native).toBe(module);
  });

  test('without sendfile sends go by copy, and asking for it is an error', () => {
    const lacking = abilities({ sendfile: false });
    expect(chooseStrategies(nothing, lacking)).toMatchObject({
      persist: 'adaptive',
      serve: 'copy',
    });
    expect(() => chooseStrategies({ ...nothing, mode: 'kafka' }, lacking)).toThrow(
      '--mode kafka (--serve sendfile) cannot run here',
    );
  });
});
