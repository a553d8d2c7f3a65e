import { describe, expect, test } from '@jest/globals';
import {
  decodePreviousAssignment,
  encodePreviousAssignment,
} from '../../../client/src/group/sticky-user-data.js';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe("the sticky assignor's user data", () => {
  test('is read as it was written', () => {
    const previous = {
      partitions: [
        { topic: 'grüße', partition: 3 },
        { topic: 'grüße', partition: 0 },
        { topic: 'b', partition: 2 ** 31 - 1 },
      ],
      generation: 7,
    };
    expect(decodePreviousAssignment(encodePreviousAssignment(previous))).toEqual(previous);
  });

  test.each([
    ['nothing', ''],
    ['a count alone', '00000001'],
    ['a name that is cut off', '00000001 0005 6162'],
    ['more partitions than there are', '00000001 0001 61 7fffffff 00000000'],
    ['bytes behind the generation', '00000000 00000005 00'],
    ['a null name', '00000001 ffff 00000000 00000001'],
    // 14 bytes that kept whoever read them busy for minutes: the name leads back to a count of 0.
    ['a name that leads backwards', '7fffffff 0000 00000000 fffa 00000000'],
    ['a name that leads back to partitions', '7fffffff 0000 00000001 00000001 fff6 00000000'],
  ])('%s is none', (_name, bytes) => {
    expect(decodePreviousAssignment(hex(bytes))).toBeUndefined();
  });
});
