import { InvalidArgumentError } from '../errors.js';

/** Bounds of a numeric option. */
export interface NumberRange {
  readonly minimum: number;
  readonly maximum?: number;
}

/**
 * The option's value, or its default; checked to be an integer within the range.
 *
 * @throws InvalidArgumentError that names the option and its range.
 */
export function integerOption(
  name: string,
  value: number | undefined,
  fallback: number,
  { minimum, maximum = Number.MAX_SAFE_INTEGER }: NumberRange,
): number {
  if (value === undefined) return fallback;
  if (Number.isSafeInteger(value) && value >= minimum && value <= maximum) return value;
  const upper = maximum === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${maximum}`;
  throw new InvalidArgumentError(
    `${name} must be an integer of at least ${minimum}${upper}, not ${String(value)}`,
  );
}

/** @throws InvalidArgumentError when the value is not one of those given. */
export function choiceOption<const T extends readonly unknown[]>(
  name: string,
  value: unknown,
  choices: T,
): T[number] {
  if (choices.includes(value)) return value;
  const known = choices.map((choice) => JSON.stringify(choice)).join(', ');
  throw new InvalidArgumentError(`${name} must be one of ${known}, not ${String(value)}`);
}
