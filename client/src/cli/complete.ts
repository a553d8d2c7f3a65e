import type { Argument, Command, Option } from 'commander';
import { topicConfigKeys } from './config-keys.js';

/** Something that can stand where the cursor is. */
export interface Candidate {
  readonly value: string;
  /** One line, for shells that show it. */
  readonly description: string;
}

/** What can stand where the cursor is; `'files'` leaves that to the shell. */
export type Completion = readonly Candidate[] | 'files';

/** Names that only the broker knows. */
export interface NameLookup {
  /** @param broker as given on the line; undefined: the usual one. */
  readonly topics: (broker: string | undefined) => Promise<readonly string[]>;
  readonly groups: (broker: string | undefined) => Promise<readonly string[]>;
}

/** Where the cursor is within a command line. */
interface Place {
  readonly command: Command;
  /** An option whose value comes next. */
  readonly option: Option | undefined;
  /** Arguments of the command before the cursor. */
  readonly argumentCount: number;
  /** Behind `--`: no option can come any more. */
  readonly onlyArguments: boolean;
  readonly broker: string | undefined;
}

/**
 * What can stand in the place of the last word, by the tree of commands: its commands, options
 * and choices, and topics, groups and keys of topics where an argument or value is called so
 * (`<topic>`, `<group>`, `<path>`, `<key>`, `<key=value>`).
 *
 * @param words what follows the name of the program; the last is being typed, and may be empty
 */
export async function complete(
  program: Command,
  words: readonly string[],
  names: NameLookup,
): Promise<Completion> {
  const typed = words.at(-1) ?? '';
  const place = locate(program, words.slice(0, -1));
  const found = await candidatesAt(place, typed, names);
  if (found === 'files') return found;
  return found.filter(({ value }) => value.startsWith(typed));
}

function locate(program: Command, words: readonly string[]): Place {
  let command = program;
  let option: Option | undefined;
  let argumentCount = 0;
  let onlyArguments = false;
  let broker: string | undefined;
  for (const word of words) {
    const isOption = !onlyArguments && word.startsWith('-') && word !== '-';
    if (option !== undefined && !(option.variadic && isOption)) {
      if (option.long === BROKER) broker = word;
      if (!option.variadic) option = undefined;
    } else if (isOption) {
      option = undefined;
      if (word === '--') onlyArguments = true;
      else {
        const [name, value] = splitOption(word);
        const known = optionOf(command, name);
        if (known?.long === BROKER) broker = value;
        if (known?.required === true && value === undefined) option = known;
      }
    } else {
      const child = argumentCount === 0 ? childOf(command, word) : undefined;
      if (child === undefined) argumentCount += 1;
      else command = child;
    }
  }
  return { command, option, argumentCount, onlyArguments, broker };
}

const BROKER = '--broker';

/** `--name=value`, `-nvalue` or a name alone. */
function splitOption(word: string): [string, string | undefined] {
  if (!word.startsWith('--')) return [word.slice(0, 2), word.slice(2) || undefined];
  const at = word.indexOf('=');
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

/** Options of a command may be given behind those below it, too. */
function* optionsOf(command: Command): Generator<Option> {
  for (let at: Command | null = command; at !== null; at = at.parent) {
    for (const option of at.options) if (!option.hidden) yield option;
  }
}

function optionOf(command: Command, name: string): Option | undefined {
  return [...optionsOf(command)].find(({ long, short }) => long === name || short === name);
}

function childOf(command: Command, name: string): Command | undefined {
  return command.commands.find((child) => child.name() === name);
}

async function candidatesAt(
  { command, option, argumentCount, onlyArguments, broker }: Place,
  typed: string,
  names: NameLookup,
): Promise<Completion> {
  if (option !== undefined && !(option.variadic && typed.startsWith('-'))) {
    return valuesOf(option.argChoices, placeholderOf(option), typed, names, broker);
  }
  if (typed.startsWith('--') && typed.includes('=')) {
    const [name] = splitOption(typed);
    const known = optionOf(command, name);
    if (known === undefined) return [];
    const typedValue = typed.slice(name.length + 1);
    const placeholder = placeholderOf(known);
    const values = await valuesOf(known.argChoices, placeholder, typedValue, names, broker);
    if (values === 'files') return values;
    return values.map((each) => ({ ...each, value: `${name}=${each.value}` }));
  }
  if (typed.startsWith('-') && !onlyArguments) return optionCandidates(command);
  const children = argumentCount === 0 ? commandCandidates(command) : [];
  const argument = argumentAt(command.registeredArguments, argumentCount);
  if (argument === undefined) return children;
  return valuesOf(argument.argChoices, argument.name(), typed, names, broker);
}

function optionCandidates(command: Command): Candidate[] {
  const options = [...optionsOf(command)].flatMap(({ long, description }) =>
    typeof long === 'string' ? [{ value: long, description }] : [],
  );
  return [...options, { value: '--help', description: 'display help for command' }];
}

function commandCandidates(command: Command): Candidate[] {
  // What help does not show is not offered either.
  const visible = command.createHelp().visibleCommands(command);
  return visible.map((child) => ({ value: child.name(), description: child.description() }));
}

function argumentAt(registered: readonly Argument[], index: number): Argument | undefined {
  const last = registered.at(-1);
  return registered[index] ?? (last?.variadic === true ? last : undefined);
}

/** `topic` of `--topic <topic>`. */
function placeholderOf({ flags }: Option): string {
  return /[<[]([^\]>.]+)/.exec(flags)?.[1] ?? '';
}

/** Topics of the broker's own are offered to who begins to type one. */
const INTERNAL_PREFIX = '__';

async function valuesOf(
  choices: readonly string[] | undefined,
  placeholder: string,
  typed: string,
  names: NameLookup,
  broker: string | undefined,
): Promise<Completion> {
  const plain = (values: readonly string[]): Candidate[] =>
    values.map((value) => ({ value, description: '' }));
  if (choices !== undefined) return plain(choices);
  switch (placeholder) {
    case 'topic': {
      const hidden = !typed.startsWith(INTERNAL_PREFIX);
      const topics = await names.topics(broker);
      return plain(topics.filter((name) => !(hidden && name.startsWith(INTERNAL_PREFIX))));
    }
    case 'group':
      return plain(await names.groups(broker));
    case 'position':
      return plain(['beginning', 'end']);
    case 'key':
      return plain(topicConfigKeys);
    case 'key=value':
      // What follows the equals sign is not known here.
      return typed.includes('=') ? [] : plain(topicConfigKeys.map((key) => `${key}=`));
    case 'path':
      return 'files';
    default:
      return [];
  }
}

/**
 * The words of a command line up to the cursor, as a shell would see them; the last is being
 * typed, and empty behind a blank.
 */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let index = 0; index < line.length; index += 1) {
    const character = line.charAt(index);
    if (quote !== "'" && character === '\\') {
      word = (word ?? '') + line.charAt((index += 1));
    } else if (quote !== '') {
      if (character === quote) quote = '';
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + character;
  }
  return [...words, word ?? ''];
}
