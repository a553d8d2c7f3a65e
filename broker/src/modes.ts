import type { DirectoryProbe, Native } from '@millrace/native';
import { ConfigError } from './startup-errors.js';

export const modeNames = ['millrace', 'kafka', 'rocketmq', 'classic'] as const;
export const persistNames = ['adaptive', 'mmap', 'write'] as const;
export const serveNames = ['sendfile', 'mmap', 'copy'] as const;

export type ModeName = (typeof modeNames)[number];
export type PersistName = (typeof persistNames)[number];
export type ServeName = (typeof serveNames)[number];

interface Strategies {
  readonly persist: PersistName;
  readonly serve: ServeName;
}

/** What each mode stands for. */
export const modes: Readonly<Record<ModeName, Strategies>> = {
  millrace: { persist: 'adaptive', serve: 'sendfile' },
  kafka: { persist: 'write', serve: 'sendfile' },
  rocketmq: { persist: 'mmap', serve: 'mmap' },
  classic: { persist: 'write', serve: 'copy' },
};

/** What was asked for; undefined means that nobody said anything. */
export interface StrategyWishes {
  readonly mode: ModeName | undefined;
  readonly persist: PersistName | undefined;
  readonly serve: ServeName | undefined;
}

/** What this machine and the filesystem of the data directory can do. */
export interface Abilities {
  /** The loaded native module, and what it found of the data directory. */
  readonly native: { readonly module: Native; readonly probe: DirectoryProbe } | undefined;
  /** Why there is no native module and how to get it, in one sentence. */
  readonly problem: string | undefined;
  readonly dataDir: string;
}

export interface StrategyChoice extends Strategies {
  readonly mode: ModeName;
  /** The native module, where it is of use on this filesystem. */
  readonly native: Native | undefined;
  /** One line to log when defaults had to give way; undefined when they did not. */
  readonly warning: string | undefined;
}

/**
 * Decides how to persist and to serve. What nobody asked for gives way to what the machine can do,
 * with a warning; what somebody asked for and cannot be had is an error.
 *
 * @throws ConfigError naming what was asked, why it cannot be, and what to do.
 */
export function chooseStrategies(wishes: StrategyWishes, abilities: Abilities): StrategyChoice {
  const mode = wishes.mode ?? 'millrace';
  const persist = wishes.persist ?? modes[mode].persist;
  const serve = wishes.serve ?? modes[mode].serve;
  const limits = limitsOf(abilities);
  const persistLimit = limits.persist[persist];
  const serveLimit = limits.serve[serve];
  if (persistLimit !== undefined && (wishes.persist ?? wishes.mode) !== undefined) {
    throw impossible(`--persist ${persist}`, wishes.persist, mode, persistLimit);
  }
  if (serveLimit !== undefined && (wishes.serve ?? wishes.mode) !== undefined) {
    throw impossible(`--serve ${serve}`, wishes.serve, mode, serveLimit);
  }
  const limit = persistLimit ?? serveLimit;
  const chosen: Strategies = {
    persist: persistLimit === undefined ? persist : 'write',
    serve: serveLimit === undefined ? serve : 'copy',
  };
  const native = limits.native;
  if (limit === undefined) return { mode, ...chosen, native, warning: undefined };
  const on = native === undefined ? " on Node's own API" : '';
  return {
    mode: modeOf(chosen) ?? mode,
    ...chosen,
    native,
    warning: `running ${chosen.persist} + ${chosen.serve}${on}, slower than the default: ${limit}`,
  };
}

interface Limits {
  readonly native: Native | undefined;
  readonly persist: Readonly<Record<PersistName, string | undefined>>;
  readonly serve: Readonly<Record<ServeName, string | undefined>>;
}

/** For each strategy the reason why it cannot run here, or undefined. */
function limitsOf({ native, problem, dataDir }: Abilities): Limits {
  if (native === undefined) {
    return nothingNative((problem ?? 'the native module is missing').replace(/\.$/, ''));
  }
  const { probe } = native;
  const where = `the filesystem of ${dataDir}`;
  const detail = probe.detail === '' ? '' : ` (${probe.detail})`;
  const elsewhere = 'choose a --data-dir on a local disk, such as ext4 or xfs';
  if (!probe.fallocate) {
    return nothingNative(`${where} cannot allocate space ahead${detail}; ${elsewhere}`);
  }
  const noMmap = probe.mmap ? undefined : `${where} cannot map files${detail}; ${elsewhere}`;
  const noSendfile = probe.sendfile ? undefined : `${where} has no sendfile${detail}; ${elsewhere}`;
  return {
    native: native.module,
    persist: { adaptive: noMmap, mmap: noMmap, write: undefined },
    serve: { sendfile: noSendfile, mmap: noMmap, copy: undefined },
  };
}

function nothingNative(reason: string): Limits {
  return {
    native: undefined,
    persist: { adaptive: reason, mmap: reason, write: undefined },
    serve: { sendfile: reason, mmap: reason, copy: undefined },
  };
}

function impossible(
  option: string,
  explicit: string | undefined,
  mode: ModeName,
  reason: string,
): ConfigError {
  const asked = explicit === undefined ? `--mode ${mode} (${option})` : option;
  return new ConfigError(`${asked} cannot run here: ${reason}; or use --mode classic`);
}

function modeOf({ persist, serve }: Strategies): ModeName | undefined {
  return modeNames.find((name) => modes[name].persist === persist && modes[name].serve === serve);
}
