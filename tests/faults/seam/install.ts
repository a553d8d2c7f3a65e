/**
 * Import this first: what a test file imports after it (by `await import`) gets to files through the
 * {@link recorder}. Storage knows three doors to the file system, and these stand in for all of them.
 */
import { jest } from '@jest/globals';
import { HUGE_PAGE_BYTES, loadNative, nativeProblem } from '@millrace/native';
import type { Native } from '@millrace/native';
import { recordedFs } from './recorded-fs.js';
import { recordNative } from './recorded-native.js';
import { recordedPromises } from './recorded-promises.js';

const native = loadNative();
const recorded: Native | undefined = native && recordNative(native);

jest.unstable_mockModule('node:fs', () => recordedFs);
jest.unstable_mockModule('node:fs/promises', () => recordedPromises);
jest.unstable_mockModule('@millrace/native', () => ({
  HUGE_PAGE_BYTES,
  loadNative: () => recorded,
  nativeProblem,
}));

export { recorder } from './recorder.js';
