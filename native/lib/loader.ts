import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Native } from './native.js';

/**
 * Must equal `kInterfaceVersion` in src/addon.cpp; raised whenever the two sides would
 * misunderstand each other.
 */
const INTERFACE_VERSION = 5;

const REBUILD_HINT = 'run `npm rebuild @millrace/native`';

/** What the compiler said, when the install tried to build; see install.js. */
const logPath = fileURLToPath(new URL('../build/install.log', import.meta.url));

const addonPath = fileURLToPath(new URL('../build/Release/millrace_native.node', import.meta.url));

interface Addon extends Native {
  readonly interfaceVersion: number;
}

interface Loaded {
  readonly native?: Native;
  readonly problem?: string;
}

let loaded: Loaded | undefined;

/**
 * The native module, or undefined when it is not built or cannot be loaded here; `nativeProblem`
 * then says why. With a non-empty environment variable `MILLRACE_NO_NATIVE` it behaves as not
 * built.
 */
export function loadNative(): Native | undefined {
  return current().native;
}

/**
 * Why `loadNative` gives nothing, in one sentence that tells what to do; undefined when it gives
 * the module.
 */
export function nativeProblem(): string | undefined {
  return current().problem;
}

function current(): Loaded {
  if (process.env['MILLRACE_NO_NATIVE']) {
    return {
      problem: 'The native module is switched off by MILLRACE_NO_NATIVE; unset it to use it.',
    };
  }
  loaded ??= load();
  return loaded;
}

function load(): Loaded {
  if (process.platform !== 'linux') {
    return { problem: `The native module needs Linux, and this is ${process.platform}.` };
  }
  if (!existsSync(addonPath)) {
    const trace = existsSync(logPath) ? `its build failed, see ${logPath}` : `no ${addonPath}`;
    return {
      problem:
        `The native module is not built (${trace}); ` +
        `install a C++17 compiler, make and Python 3, then ${REBUILD_HINT}.`,
    };
  }
  try {
    const addon = createRequire(import.meta.url)(addonPath) as Addon;
    if (addon.interfaceVersion === INTERFACE_VERSION) return { native: addon };
    return {
      problem:
        `The native module was built from other sources (interface ${addon.interfaceVersion}, ` +
        `needed is ${INTERFACE_VERSION}); ${REBUILD_HINT}.`,
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { problem: `The native module cannot be loaded (${reason}); ${REBUILD_HINT}.` };
  }
}
