/** Builds the plain C loop where a compiler is, for a machine that has none: `npm run build:reference`. */
import { messageOf } from '../errors.js';
import { referenceProgram } from './program.js';

try {
  process.stdout.write(`${await referenceProgram()}\n`);
} catch (error) {
  process.stderr.write(`millrace-bench: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
