import { logMutants } from './mutants-of-logs.js';
import { lossMutants } from './mutants-of-loss.js';
import { readerMutants } from './mutants-of-readers.js';
import type { Mutant } from './mutant.js';

/** Every anomaly in the ways in which it can come about. */
export const mutants: readonly Mutant[] = [...lossMutants, ...logMutants, ...readerMutants];
