import { expect, test } from '@jest/globals';
import { MemoryBudget } from '../../../client/src/producer/memory-budget.js';

test('waiters are let in first come first served, also when a later one would fit', () => {
  const budget = new MemoryBudget(100, 100);
  const admitted: string[] = [];
  const take = (name: string, bytes: number) => () => {
    admitted.push(name);
    budget.charge(bytes);
  };
  budget.charge(100);
  budget.wait(80, take('large', 80));
  budget.wait(10, take('small', 10));
  budget.refund(50);
  expect(admitted).toEqual([]);
  expect(budget.fits(1)).toBe(false);
  budget.refund(50);
  expect(admitted).toEqual(['large', 'small']);
  expect(budget.usedBytes).toBe(90);
});

test('who leaves the line makes room for the next', () => {
  const budget = new MemoryBudget(100, 100);
  const admitted: string[] = [];
  budget.charge(60);
  const leave = budget.wait(50, () => admitted.push('first'));
  budget.wait(40, () => admitted.push('second'));
  expect(leave()).toBe(true);
  expect(admitted).toEqual(['second']);
  expect(leave()).toBe(false);
});

test('room is announced only well below the high water mark', () => {
  const budget = new MemoryBudget(1_000, 100);
  let told = 0;
  budget.charge(120);
  budget.addBacklog(120);
  expect(budget.hasRoom).toBe(false);
  budget.onceRoom(() => (told += 1));
  budget.release(40);
  expect(budget.hasRoom).toBe(true);
  expect(told).toBe(0);
  budget.release(40);
  expect(told).toBe(1);
});
