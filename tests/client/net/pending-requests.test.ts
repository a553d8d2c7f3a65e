import { describe, expect, test } from '@jest/globals';
import { metadataApi } from '@millrace/protocol';
import fc from 'fast-check';
import { ConnectionError } from '../../../client/src/errors.js';
import { PendingRequests } from '../../../client/src/net/pending-requests.js';
import type { PendingRequest } from '../../../client/src/net/pending-requests.js';

const error = new ConnectionError('lost', { broker: 'b:1' });

function request(
  sentBytes: number,
  reject: (error: unknown) => void = () => undefined,
): PendingRequest {
  const timer = setTimeout(() => undefined, 1e6).unref();
  return {
    api: metadataApi,
    sentBytes,
    resolve: () => undefined,
    reject,
    timer,
  };
}

describe('requests that wait for a response', () => {
  test('are each found by their id, in any order and however many, and once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constant('send' as const), fc.nat(1_000)), { maxLength: 600 }),
        (steps) => {
          const pending = new PendingRequests();
          const known = new Map<number, PendingRequest>();
          for (const step of steps) {
            if (step === 'send') {
              const id = pending.takeId();
              expect(known.has(id)).toBe(false);
              const its = request(1);
              known.set(id, its);
              pending.add(id, its);
            } else {
              const id = [...known.keys()][step % Math.max(known.size, 1)] ?? step;
              expect(pending.take(id)).toBe(known.get(id));
              known.delete(id);
              expect(pending.take(id)).toBeUndefined();
            }
            expect(pending.size).toBe(known.size);
          }
          for (const [id, its] of known) expect(pending.take(id)).toBe(its);
          expect(pending.size).toBe(0);
        },
      ),
    );
  });

  test('keep their id while so many others come and go that places are used again', () => {
    const pending = new PendingRequests();
    const slow = request(1);
    const slowId = pending.takeId();
    pending.add(slowId, slow);
    for (let round = 0; round < 1_000; round += 1) {
      const id = pending.takeId();
      expect(id).not.toBe(slowId);
      pending.add(id, request(1));
      // An answer to what was never asked, or to what was answered before.
      expect(pending.take(id + 64)).toBeUndefined();
      expect(pending.take(id)).toBeDefined();
      expect(pending.take(id)).toBeUndefined();
    }
    expect(pending.take(slowId)).toBe(slow);
  });

  test('begin again at 1 behind the last id, around one that still waits', () => {
    const pending = new PendingRequests(0x7fff_fffe);
    const slow = request(1);
    const slowId = pending.takeId();
    pending.add(slowId, slow);
    const following = Array.from({ length: 80 }, () => {
      const id = pending.takeId();
      pending.add(id, request(1));
      pending.take(id);
      return id;
    });
    expect(slowId).toBe(0x7fff_fffe);
    expect(following.slice(0, 3)).toEqual([0x7fff_ffff, 1, 2]);
    expect(new Set(following).size).toBe(80);
    expect(pending.take(slowId)).toBe(slow);
  });

  test('an id is not given to a second one while the first waits', () => {
    const pending = new PendingRequests();
    const id = pending.takeId();
    pending.add(id, request(1));
    expect(() => pending.add(id, request(1))).toThrow(`request ${id} was not given this id`);
    expect(() => pending.add(id + 64, request(1))).toThrow('was not given this id');
    expect(pending.size).toBe(1);
  });

  test('the largest is the one of which most was sent', () => {
    const pending = new PendingRequests();
    expect(pending.takeLargest()).toBeUndefined();
    const sizes = [3, 200, 7, 100];
    for (const bytes of sizes) pending.add(pending.takeId(), request(bytes));
    expect(pending.takeLargest()?.sentBytes).toBe(200);
    expect(pending.takeLargest()?.sentBytes).toBe(100);
    expect(pending.size).toBe(2);
  });

  test('all fail with their connection, and none is left', () => {
    const pending = new PendingRequests();
    const failed: unknown[] = [];
    const ids = Array.from({ length: 100 }, () => {
      const id = pending.takeId();
      pending.add(
        id,
        request(1, (reason) => failed.push(reason)),
      );
      return id;
    });
    pending.failAll(error);
    expect(failed).toEqual(ids.map(() => error));
    expect(pending.size).toBe(0);
    expect(ids.map((id) => pending.take(id))).toEqual(ids.map(() => undefined));
  });
});
