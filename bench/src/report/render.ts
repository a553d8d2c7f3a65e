import type { ResultFile } from '../results/schema.js';

/** A result, and what it is called beside others. */
export interface LabelledResult {
  readonly label: string;
  readonly result: ResultFile;
}

/** The page that shows results, whole in one file. */
export function renderReport(results: readonly LabelledResult[]): string {
  return JSON.stringify(results);
}
