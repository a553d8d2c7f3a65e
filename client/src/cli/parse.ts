import { InvalidArgumentError } from 'commander';
import { quoted } from '../util/text.js';
import { UsageError } from './exit.js';

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** A parser for an option that takes an integer of at least `minimum`. */
export function integerFrom(minimum: number, option: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= minimum) return value;
    throw new InvalidArgumentError(`${option} takes an integer of at least ${minimum}.`);
  };
}

/** A parser for an option that takes an integer of at least 1. */
export function positiveInteger(option: string): (text: string) => number {
  return integerFrom(1, option);
}

/** @throws UsageError for what is no number of a partition. */
export function parsePartition(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`--partition takes a number from 0 on, not ${quoted(text)}`);
}
