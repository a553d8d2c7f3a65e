import type { Environment } from './environment.js';

/** The option that every command has which prints something. */
export interface JsonOption {
  readonly json?: boolean;
}

/** Prints the value as one line of JSON where that is asked for, else the text. */
export function print(
  { stdout }: Environment,
  { json }: JsonOption,
  value: unknown,
  text: () => string,
): void {
  stdout.write(json === true ? `${JSON.stringify(value)}\n` : text());
}

/** Says something beside the output, as one line on stderr. */
export function say({ stderr }: Environment, message: string): void {
  stderr.write(`millrace: ${message}\n`);
}
