import { Command, Option } from 'commander';
import { parseBytes, parseCount, UnitError } from '../util/units.js';
import type { ZerocopyOptions } from './actions/zerocopy.js';
import { addOutputOptions, parsed, sizeOption } from './options.js';

const MIN_CHUNK_BYTES = 64 * 1024;

function someBytes(text: string): number {
  const bytes = parseBytes(text);
  if (bytes > 0) return bytes;
  throw new UnitError('a load of nothing measures nothing');
}

function chunksOf(text: string): readonly number[] {
  const sizes = text.split(',').map((size) => parseBytes(size.trim()));
  if (sizes.every((size) => size >= MIN_CHUNK_BYTES)) return sizes;
  throw new UnitError(`give sizes of at least ${MIN_CHUNK_BYTES / 1024} KiB, such as 64KiB,1MiB`);
}

/** `zerocopy`: the classic table. */
export function zerocopyCommand(): Command {
  return addOutputOptions(new Command('zerocopy'))
    .description(
      'Four ways from a file to a socket, theory beside measurement: over a pair of network namespaces ' +
        'as root, else on loopback.',
    )
    .option(
      '--rounds <n>',
      'rounds, interleaved',
      parsed((text) => parseCount(text, 1)),
      5,
    )
    .addOption(
      sizeOption('--bytes <size>', 'what is served in each', 512 * 2 ** 20).argParser(
        parsed(someBytes),
      ),
    )
    .addOption(
      new Option('--chunks <list>', 'sizes of a fetch')
        .argParser(parsed(chunksOf))
        .default([64 * 2 ** 10, 2 ** 20], '64KiB,1MiB'),
    )
    .option('--data-dir <dir>', 'where data directories are made')
    .option('--loopback', 'do not make namespaces', false)
    .addOption(new Option('--inside <namespace/address>').hideHelp())
    .action(async (options: ZerocopyOptions) => {
      const { zerocopy } = await import('./actions/zerocopy.js');
      await zerocopy(options);
    });
}
