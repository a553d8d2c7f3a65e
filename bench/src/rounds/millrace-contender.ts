import { dropPages } from '../broker/page-cache.js';
import { StartedBroker } from '../broker/started-broker.js';
import { makeDirectory, removeDirectory } from '../cli/data-dir.js';
import { BenchError } from '../errors.js';
import { quoted } from '../util/units.js';
import type { Contender, OpenContender } from './contender.js';

const persists = ['adaptive', 'mmap', 'write'] as const;
/** What the mode `millrace` stands for: the others are these strategies by themselves. */
const usual = ['adaptive', 'sendfile'] as const;
const serves = ['sendfile', 'mmap', 'copy'] as const;
const modeNames = ['millrace', 'kafka', 'rocketmq', 'classic'] as const;

/** How brokers of all cells are started. */
export interface CellStart {
  readonly args: readonly string[];
  /** Where data directories are made; undefined: the temporary one of the system. */
  readonly parent: string | undefined;
  readonly host?: string;
  readonly prefix?: readonly string[];
}

/** The six cells of persist {mmap, write} and serve {sendfile, mmap, copy}, and the usual pair. */
export function allCells(start: CellStart): readonly Contender[] {
  const pure = ['mmap', 'write'];
  const six = pure.flatMap((persist) => serves.map((serve) => cell(persist, serve, start)));
  return [cell(...usual, start), ...six];
}

/**
 * The cells of a list such as `kafka,rocketmq,mmap+copy`.
 *
 * @throws BenchError for a name that is neither a mode nor a pair.
 */
export function namedCells(list: string, start: CellStart): readonly Contender[] {
  return list.split(',').map((text) => {
    const name = text.trim();
    if (modeNames.some((mode) => mode === name)) {
      return started(name, `--mode ${name}`, ['--mode', name], start);
    }
    const [persist = '', serve = '', ...rest] = name.split('+');
    const known = persists.some((its) => its === persist) && serves.some((its) => its === serve);
    if (known && rest.length === 0) return cell(persist, serve, start);
    throw new BenchError(
      `--modes takes ${modeNames.join(', ')}, or pairs such as mmap+sendfile, not ${quoted(name)}`,
    );
  });
}

/** The cell of that pair of strategies. */
export function cell(persist: string, serve: string, start: CellStart): Contender {
  const args = ['--persist', persist, '--serve', serve];
  return started(`${persist}+${serve}`, `persist=${persist} serve=${serve}`, args, start);
}

function started(
  name: string,
  about: string,
  args: readonly string[],
  start: CellStart,
): Contender {
  return { name, about, open: () => openStarted([...args, ...start.args], start) };
}

async function openStarted(args: readonly string[], start: CellStart): Promise<OpenContender> {
  const { host, parent, prefix } = start;
  const dataDir = await makeDirectory(parent);
  const at = { ...(host !== undefined && { host }), ...(prefix !== undefined && { prefix }) };
  let broker: StartedBroker;
  try {
    broker = await StartedBroker.start({ dataDir, args, ...at });
  } catch (error) {
    removeDirectory(dataDir);
    throw error;
  }
  const addresses = (): Pick<OpenContender, 'target' | 'httpAddress'> => ({
    target: { driver: 'millrace', address: broker.address },
    httpAddress: broker.httpAddress,
  });
  return {
    ...addresses(),
    storedIn: dataDir,
    makeCold: async () => {
      let residency = { residentBytes: NaN, totalBytes: NaN };
      broker = await broker.restart(async () => {
        residency = await dropPages(dataDir);
      });
      return { ...residency, ...addresses() };
    },
    close: async () => {
      await broker.stop();
      removeDirectory(dataDir);
    },
  };
}

/**
 * Brokers that run: `a:7070,b:7070`, `kafka=host:7070`, with the port of their metrics behind a slash
 * (`kafka=host:7070/7071`) where that is not the next one.
 *
 * @throws BenchError for what is no address.
 */
export function runningBrokers(list: string): readonly Contender[] {
  return list.split(',').map((text) => {
    const match = /^(?:([\w.+-]+)=)?(.+):(\d+)(?:\/(\d+))?$/.exec(text.trim());
    const [, name, host = '', port = '', httpPort] = match ?? [];
    if (match === null) {
      throw new BenchError(
        `--brokers takes HOST:PORT or NAME=HOST:PORT/HTTPPORT, not ${quoted(text)}`,
      );
    }
    const address = `${host}:${port}`;
    const opened: OpenContender = {
      target: { driver: 'millrace', address },
      httpAddress: `${host}:${httpPort ?? String(Number(port) + 1)}`,
      close: () => Promise.resolve(),
    };
    return { name: name ?? address, about: address, open: () => Promise.resolve(opened) };
  });
}
