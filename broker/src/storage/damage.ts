import { join } from 'node:path';
import { writeFileAtomically } from './atomic-file.js';
import { CorruptLogError, DataDirError } from './errors.js';
import { encodeJsonFile, readJsonFile } from './json-file.js';

/**
 * Damage that was noticed while the log was in use. It is written down beside the log: a restart must not
 * forget it and take appends again before an operator has decided.
 */
export const DAMAGE_FILE = 'damage.json';

/** What was noticed of the log in `directory`, and not repaired since; undefined where nothing was. */
export async function readDamage(directory: string): Promise<CorruptLogError | undefined> {
  const path = join(directory, DAMAGE_FILE);
  try {
    const content = await readJsonFile(path);
    if (content === undefined) return undefined;
    const { file, position, problem } = content as Readonly<Record<string, unknown>>;
    if (typeof file === 'string' && typeof position === 'number' && typeof problem === 'string') {
      return new CorruptLogError(join(directory, file), position, problem);
    }
  } catch (error) {
    if (!(error instanceof DataDirError)) throw error;
  }
  // Somebody had something to say: better to ask again than to go on.
  return new CorruptLogError(path, 0, 'it says that the log is damaged, and is damaged itself');
}

/** Writes down what was noticed of the log in `directory`, durably. */
export async function writeDamage(directory: string, damage: CorruptLogError): Promise<void> {
  const { path, position, problem } = damage;
  const file = path.startsWith(directory) ? path.slice(directory.length + 1) : path;
  const content = encodeJsonFile({ file, position, problem });
  await writeFileAtomically(join(directory, DAMAGE_FILE), content);
}
