import { describe, expect, test } from '@jest/globals';
import { clearWinner, spreadOf } from '../../bench/src/util/stats.js';
import type { Spread } from '../../bench/src/util/stats.js';
import {
  formatBytes,
  formatMicros,
  parseBytes,
  parseCount,
  parseDurationMs,
} from '../../bench/src/util/units.js';

describe('units', () => {
  test('sizes and counts are read with and without a unit, times with one', () => {
    expect([parseBytes('100'), parseBytes('64KiB'), parseBytes('1.5g')]).toEqual([
      ...[100, 65_536, 1_610_612_736],
    ]);
    expect([parseDurationMs('500ms'), parseDurationMs('10s'), parseDurationMs('2m')]).toEqual([
      ...[500, 10_000, 120_000],
    ]);
    expect(parseCount('1_000')).toBe(1_000);
  });

  test('what is none is refused with what is taken', () => {
    expect(() => parseBytes('10 apples')).toThrow('give bytes, such as');
    expect(() => parseDurationMs('-1s')).toThrow('give 500ms, 10s or 2m');
    expect(() => parseDurationMs('500')).toThrow('give 500ms, 10s or 2m');
    expect(parseDurationMs('0')).toBe(0);
    expect(() => parseCount('0', 1)).toThrow('at least 1');
    expect(() => parseCount('1e3')).toThrow('no whole number');
  });

  test('are written for people', () => {
    expect([formatBytes(100), formatBytes(1_536)]).toEqual(['100 B', '1.50 KiB']);
    expect([formatMicros(870), formatMicros(12_345), formatMicros(1.2e6)]).toEqual([
      ...['870 µs', '12.3 ms', '1.20 s'],
    ]);
  });
});

describe('rounds', () => {
  const spread = (...values: number[]): Spread =>
    spreadOf(values) ?? { median: 0, min: 0, max: 0, count: 0 };

  test('have a median, between two where they are even', () => {
    expect(spreadOf([3, 1, NaN, 2])).toEqual({ median: 2, min: 1, max: 3, count: 3 });
    expect(spread(1, 2, 3, 10).median).toBe(2.5);
    expect(spreadOf([])).toBeUndefined();
  });

  test('have a winner only where its worst beats the best of all others', () => {
    const a = spread(10, 11, 12);
    expect(
      clearWinner(
        new Map([
          ['a', a],
          ['b', spread(7, 8, 9)],
        ]),
        'higher',
      ),
    ).toBe('a');
    expect(
      clearWinner(
        new Map([
          ['a', a],
          ['b', spread(7, 8, 9)],
        ]),
        'lower',
      ),
    ).toBe('b');
    expect(
      clearWinner(
        new Map([
          ['a', a],
          ['b', spread(8, 9, 10)],
        ]),
        'higher',
      ),
    ).toBeUndefined();
    expect(
      clearWinner(
        new Map([
          ['a', spread(10)],
          ['b', spread(1)],
        ]),
        'higher',
      ),
    ).toBeUndefined();
    expect(clearWinner(new Map([['a', a]]), 'higher')).toBeUndefined();
  });
});
