import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { readJsonFile, writeJsonFile } from '../../../broker/src/storage/json-file.js';
import { afterTest, temporaryDirectory } from '../support/temporary.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const binary = fileURLToPath(new URL('../../../broker/bin/millrace-broker.js', import.meta.url));

/** The built command, with what it has written so far. */
class Command {
  stdout = '';
  stderr = '';
  readonly exited: Promise<unknown>;
  #onOutput: () => void = () => undefined;

  private constructor(private readonly process: ChildProcess) {
    this.exited = once(process, 'close');
    process.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += String(chunk);
      this.#onOutput();
    });
    process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += String(chunk);
      this.#onOutput();
    });
    process.on('close', () => {
      this.#onOutput();
    });
  }

  static start(args: readonly string[], environment: Record<string, string> = {}): Command {
    const child = spawn(process.execPath, [binary, ...args], {
      env: { PATH: process.env['PATH'], ...environment },
    });
    afterTest(() => void child.kill('SIGKILL'));
    return new Command(child);
  }

  /** Runs on free ports, with at most `openFiles` descriptors. */
  static limited(dataDir: string, openFiles: number): Command {
    const where = ['--data-dir', dataDir, '--listen', '127.0.0.1:0', '--http', 'off'];
    const script = `ulimit -n ${openFiles} && exec "$0" "$@"`;
    const child = spawn('sh', ['-c', script, process.execPath, binary, ...where]);
    afterTest(() => void child.kill('SIGKILL'));
    return new Command(child);
  }

  /** By `npm start` in the project's directory, as it is built, or by its own first line. */
  static asUsers(program: 'npm' | 'itself', dataDir: string): Command {
    const where = ['--data-dir', dataDir, '--listen', '127.0.0.1:0', '--http', 'off'];
    const options = [...where, '--mode', 'kafka'];
    // A group of its own, so that nothing is left however this ends.
    const child =
      program === 'npm'
        ? spawn('npm', ['start', '--ignore-scripts', '--', ...options], {
            cwd: root,
            detached: true,
          })
        : spawn(binary, options, { detached: true });
    afterTest(() => {
      try {
        process.kill(-(child.pid ?? NaN), 'SIGKILL');
      } catch {
        // All have ended.
      }
    });
    return new Command(child);
  }

  /** Runs on free ports. */
  static broker(
    dataDir: string,
    args: readonly string[] = [],
    environment: Record<string, string> = {},
  ): Command {
    const where = ['--data-dir', dataDir, '--listen', '127.0.0.1:0', '--http', '127.0.0.1:0'];
    return Command.start([...where, ...args], environment);
  }

  get code(): number | null {
    return this.process.exitCode;
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** As `| head` does. */
  closeOutput(): void {
    this.process.stdout?.destroy();
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  async untilOutput(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.ended) throw new Error(`ended: ${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => {
        this.#onOutput = resolve;
      });
    }
  }

  async ready(): Promise<Record<string, unknown>> {
    const find = (): string | undefined =>
      this.stdout.split('\n').find((line) => line.includes('"msg":"ready"'));
    await this.untilOutput(() => find() !== undefined);
    return JSON.parse(find() ?? '') as Record<string, unknown>;
  }
}

async function failing(command: Command, code: number): Promise<string> {
  await command.exited;
  expect([command.code, command.stderr]).toEqual([code, expect.stringMatching(/^[^\n]+\n$/)]);
  return command.stderr;
}

describe('a broker that runs', () => {
  test('says so in one line, and stops in good order on SIGTERM', async () => {
    const dataDir = temporaryDirectory();
    const command = Command.broker(dataDir);
    const ready = await command.ready();
    expect(ready).toMatchObject({ mode: 'millrace', persist: 'adaptive', serve: 'sendfile' });
    expect(ready['listen']).toMatch(/^127\.0\.0\.1:\d+$/);
    const answer = await fetch(`http://${String(ready['http'])}/readyz`);
    expect(answer.status).toBe(200);
    command.signal('SIGTERM');
    await command.exited;
    expect([command.code, command.stderr]).toEqual([0, '']);
    expect(readFileSync(join(dataDir, 'clean'))).toHaveLength(0);
  });

  test.each(['npm', 'itself'] as const)(
    'by %s takes its options, and stops on SIGTERM',
    async (program) => {
      const dataDir = temporaryDirectory();
      const command = Command.asUsers(program, dataDir);
      expect(await command.ready()).toMatchObject({ mode: 'kafka' });
      command.signal('SIGTERM');
      await command.exited;
      expect(existsSync(join(dataDir, 'clean'))).toBe(true);
      if (program === 'itself') expect(command.code).toBe(0);
    },
  );

  test('stops on SIGINT too, and is ready at any log level', async () => {
    const command = Command.broker(temporaryDirectory(), ['--log-level', 'error']);
    expect(await command.ready()).toMatchObject({ msg: 'ready' });
    command.signal('SIGINT');
    await command.exited;
    expect(command.code).toBe(0);
    expect(command.stdout.trim().split('\n')).toHaveLength(1);
  });

  test('says which connections it has no descriptors for', async () => {
    const command = Command.limited(temporaryDirectory(), 700);
    await command.ready();
    const warnings = command.stdout.split('\n').filter((line) => line.includes('"level":"warn"'));
    expect(warnings.filter((line) => line.includes('may open 700 files'))).toHaveLength(1);
    expect(warnings.join('')).toContain('taking 44 connections at most');
    command.signal('SIGTERM');
    await command.exited;
    expect(command.code).toBe(0);
  });

  test('a second signal ends it at once', async () => {
    const command = Command.broker(temporaryDirectory(), [], {
      MILLRACE_DRAIN_TIMEOUT_MS: '60000',
    });
    const { listen } = await command.ready();
    const [host = '', port = ''] = String(listen).split(':');
    // A client that never closes its side keeps the drain going for a while.
    const socket = connect({ host, port: Number(port), allowHalfOpen: true });
    socket.on('error', () => undefined);
    afterTest(() => void socket.destroy());
    await once(socket, 'connect');
    await fetch(`http://${String((await command.ready())['http'])}/healthz`);
    command.signal('SIGTERM');
    await command.untilOutput(() => command.stdout.includes('stopping'));
    command.signal('SIGTERM');
    await command.exited;
    expect(command.code).toBe(1);
  });

  test('--hint tells on stderr how to go on', async () => {
    const command = Command.broker(temporaryDirectory(), ['--hint']);
    const { listen } = await command.ready();
    await command.untilOutput(() => command.stderr.includes('Ctrl-C'));
    expect(command.stderr).toContain(`npx millrace --broker ${String(listen)} produce`);
  });

  test('takes settings from file, environment and command line', async () => {
    const directory = temporaryDirectory();
    const config = join(directory, 'config.json');
    writeFileSync(config, JSON.stringify({ mode: 'classic', http: 'off', listen: '127.0.0.1:0' }));
    const command = Command.start(['--serve', 'mmap'], {
      MILLRACE_CONFIG: config,
      MILLRACE_DATA_DIR: join(directory, 'data'),
      MILLRACE_PERSIST: 'mmap',
    });
    expect(await command.ready()).toMatchObject({
      ...{ mode: 'classic', persist: 'mmap', serve: 'mmap', http: null },
    });
  });

  test('without the native module it says so in one line and runs', async () => {
    const command = Command.broker(temporaryDirectory(), [], { MILLRACE_NO_NATIVE: '1' });
    expect(await command.ready()).toMatchObject({
      ...{ mode: 'classic', persist: 'write', serve: 'copy' },
    });
    const warnings = command.stdout.split('\n').filter((line) => line.includes('"warn"'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('MILLRACE_NO_NATIVE');
  });
});

describe('exit code 1: the broker cannot start', () => {
  test('a port in use', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    afterTest(() => void taken.close());
    const listen = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    const command = Command.broker(temporaryDirectory(), ['--listen', listen]);
    const message = await failing(command, 1);
    expect(message).toContain(`cannot listen on ${listen}: the port is in use`);
    expect(message).toContain('--listen');
  });

  test('a data directory that another broker has', async () => {
    const dataDir = temporaryDirectory();
    const first = Command.broker(dataDir);
    await first.ready();
    const message = await failing(Command.broker(dataDir), 1);
    expect(message).toContain(dataDir);
    expect(message).toContain('another broker');
    expect(first.ended).toBe(false);
  });

  test('a data directory that cannot be written to', async () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    const message = await failing(Command.broker(join(file, 'data')), 1);
    expect(message).toContain(`cannot use the data directory ${join(file, 'data')}`);
    expect(message).toContain('--data-dir');
  });

  test('a data directory of a newer format', async () => {
    const dataDir = temporaryDirectory();
    const first = Command.broker(dataDir);
    await first.ready();
    first.signal('SIGTERM');
    await first.exited;
    const meta = join(dataDir, 'meta.json');
    const content = await readJsonFile(meta);
    await writeJsonFile(meta, { ...(content as object), formatVersion: 99 });
    expect(await failing(Command.broker(dataDir), 1)).toContain('format 99');
  });
});

describe('exit code 2: the command line or the configuration is wrong', () => {
  test.each([
    [['--frobnicate'], "unknown option '--frobnicate'"],
    [['--mode', 'turbo'], '--mode on the command line is "turbo"; it must be one of millrace'],
    [['--listen', 'here'], '--listen on the command line is "here"; it must be host:port'],
    [['extra'], 'too many arguments'],
    [['--config', '/nowhere/config.json'], 'cannot read the configuration file'],
  ])('%p', async (args, expected) => {
    expect(await failing(Command.start(args), 2)).toContain(expected);
  });

  test('a mode that this machine cannot run', async () => {
    const command = Command.broker(temporaryDirectory(), ['--mode', 'kafka'], {
      MILLRACE_NO_NATIVE: '1',
    });
    expect(await failing(command, 2)).toContain('--mode kafka (--serve sendfile) cannot run here');
  });

  test('a variable out of range', async () => {
    const command = Command.start([], { MILLRACE_MAX_TOPICS: '-1' });
    expect(await failing(command, 2)).toContain('MILLRACE_MAX_TOPICS in the environment is "-1"');
  });
});

test.each(['--help', '--version', 'dump --help', 'verify --help'])(
  '%s ends quietly when its reader has gone',
  async (line) => {
    const command = Command.start(line.split(' '));
    command.closeOutput();
    await command.exited;
    expect([command.code, command.stderr]).toEqual([0, '']);
  },
);

test.each([['--version'], ['--help']])('%s prints and exits 0', async (option) => {
  const command = Command.start([option]);
  await command.exited;
  expect([command.code, command.stderr]).toEqual([0, '']);
  expect(command.stdout).toMatch(option === '--version' ? /^\d+\.\d+\.\d+\n$/ : /--data-dir/);
});
