import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError, messageOf } from '../errors.js';
import { renderReport } from '../report/render.js';
import { RESULT_SCHEMA } from './schema.js';
import type { ResultFile } from './schema.js';

export interface WrittenFiles {
  readonly result: string;
  readonly report: string;
}

/** Before anything is measured: where its result goes. @throws BenchError when nothing can be written there. */
export function checkResults(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
  } catch (error) {
    throw new BenchError(
      `results cannot be written to ${directory}: ${messageOf(error)}; give another --results`,
      { cause: error },
    );
  }
}

/** Writes `<time>-<name>.json`, and beside it the report as `<time>-<name>.html` and `report.html`. */
export function writeResult(directory: string, result: ResultFile): WrittenFiles {
  const time = result.startedAt.replace(/[-:]/g, '').replace(/\.\d+Z$/, 'Z');
  const base = `${time}-${result.name.replace(/[^A-Za-z0-9._-]+/g, '-')}`;
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${base}.json`);
  writeFileSync(path, `${JSON.stringify(result, null, 1)}\n`);
  const html = renderReport([{ label: base, result }]);
  writeFileSync(join(directory, `${base}.html`), html);
  const report = join(directory, 'report.html');
  writeFileSync(report, html);
  return { result: path, report };
}

/** @throws BenchError when it cannot be read, or is of another schema. */
export function readResult(path: string): ResultFile {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new BenchError(`${path} cannot be read as a result: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const schema = (parsed as { schema?: unknown } | null)?.schema;
  if (schema === RESULT_SCHEMA) return parsed as ResultFile;
  throw new BenchError(
    schema === undefined
      ? `${path} is no result of millrace-bench`
      : `${path} has the schema ${JSON.stringify(schema)}, and this millrace-bench reads ` +
          `${RESULT_SCHEMA}: run the load again, or read it with the version that wrote it`,
  );
}
